import { quote } from '../../shared/lib/quote.ts'
import type { Index } from '../../shared/stores/firestore/check-indexes.ts'
import { databaseFlag, type FirestorePlace } from './firestore-place.ts'

const FIELD = '--field-config=order=ascending,field-path'

/** The commands that create indexes, one on each line. */
export function fixIndexes(missing: readonly Index[], place: FirestorePlace): string {
  const lines = missing.map(({ collection, fields: [first = '', ...more] }) => {
    const where = `--project=${quote(place.project)}${databaseFlag(place)} --collection-group=${collection}`
    return more.length === 0
      ? `gcloud firestore indexes fields update ${first} ${where} --clear-exemption`
      : `gcloud firestore indexes composite create ${where} ${[first, ...more].map((field) => `${FIELD}=${field}`).join(' ')}`
  })
  return [
    ...lines,
    'Building an index takes minutes. Until then it counts as missing. deploy/firestore.indexes.json declares all indexes, in the format of the Firebase CLI.',
  ].join('\n')
}

/** An index as text: `promptJobs (batch, status)`. */
export function describeIndex({ collection, fields }: Index): string {
  return `${collection} (${fields.join(', ')})`
}
