import { quote } from '../../shared/lib/quote.ts'
import type { Index } from '../../shared/stores/firestore/check-indexes.ts'
import { databaseFlag, type FirestorePlace } from './firestore-place.ts'

const FIELD = '--field-config=order=ascending,field-path'

/** The commands that make indexes, a line each. */
export function fixIndexes(missing: readonly Index[], place: FirestorePlace): string {
  const lines = missing.map(({ collection, fields: [first = '', ...more] }) => {
    const where = `--project=${quote(place.project)}${databaseFlag(place)} --collection-group=${collection}`
    return more.length === 0
      ? `gcloud firestore indexes fields update ${first} ${where} --clear-exemption`
      : `gcloud firestore indexes composite create ${where} ${[first, ...more].map((field) => `${FIELD}=${field}`).join(' ')}`
  })
  return [
    ...lines,
    'Building one takes minutes, and it is missing until then. deploy/firestore.indexes.json declares them all, in the Firebase CLI’s form.',
  ].join('\n')
}

/** An index by its name in a line: `promptJobs (batch, status)`. */
export function sayIndex({ collection, fields }: Index): string {
  return `${collection} (${fields.join(', ')})`
}
