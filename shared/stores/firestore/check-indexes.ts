import { StoreError } from '../job-store.ts'
import type { Database } from './database.ts'
import { createFirestoreDocuments } from './firestore-documents.ts'
import { TALLY_FIELDS } from './status-tally.ts'

/** An index of several fields has to be made; one of a single field is there unless somebody took it away. */
export interface Index {
  readonly collection: string
  readonly fields: readonly string[]
}

/** A value that no document has. */
const ABSENT = 'promptbridge-doctor'
const JOBS = 'promptJobs'

interface Need extends Index {
  /** What is asked of it, and finds nothing. */
  readonly ask: (database: Database) => Promise<unknown>
}

/** An index that an equality needs. */
const equality = (collection: string, field: string): Need => ({
  collection,
  fields: [field],
  ask: (database) => database.count(collection, { [field]: ABSENT }),
})

/** An index that an order by time needs. */
const latest = (collection: string, field: string): Need => ({
  collection,
  fields: [field],
  ask: (database) => database.since(collection, field, { since: 0, direction: 'DESCENDING', limit: 1 }),
})

/** The index that adding up the tokens of a batch needs, or of a day. */
const tokenSum = (field: 'batch' | 'day'): Need => ({
  collection: JOBS,
  fields: [field, 'usage.completionTokens', 'usage.promptTokens'],
  ask: (database) =>
    createFirestoreDocuments(database).sumUsage(field === 'batch' ? { batch: ABSENT } : { day: ABSENT }),
})

/** What the sweep and the commands ask of the database. */
export const INDEX_NEEDS: readonly Need[] = [
  {
    collection: JOBS,
    fields: ['batch', ...TALLY_FIELDS],
    ask: (database) => database.sumAndCount(JOBS, { batch: ABSENT }, TALLY_FIELDS),
  },
  tokenSum('batch'),
  tokenSum('day'),
  {
    collection: JOBS,
    fields: ['due'],
    ask: (database) => Array.fromAsync(createFirestoreDocuments(database).due(0, 1)),
  },
  equality(JOBS, 'batch'),
  equality(JOBS, 'status'),
  {
    collection: 'promptBatches',
    fields: ['toSweep'],
    ask: (database) => database.since('promptBatches', 'toSweep', { since: 0, direction: 'ASCENDING', limit: 1 }),
  },
  {
    collection: 'promptBatches',
    fields: ['createdAt'],
    ask: (database) => database.newest('promptBatches', 'createdAt'),
  },
  equality('deadLetters', 'batch'),
  equality('deadLetters', 'reason'),
  equality('deadLetters', 'model'),
  latest('tokenFailures', 'lastAt'),
  latest('workerInstances', 'at'),
]

/**
 * Makes each kind of query once, and resolves with the indexes that the database lacks or still builds. Rejects with
 * StoreError where it does not answer.
 *
 * Emulators need none, so there it finds nothing.
 */
export async function findMissingIndexes(database: Database): Promise<readonly Index[]> {
  const isMissing = async ({ ask }: Need) => {
    try {
      await ask(database)
      return false
    } catch (error) {
      if (error instanceof StoreError && error.code === 'no_index') return true
      throw error
    }
  }
  const missing = await Promise.all(INDEX_NEEDS.map(isMissing))
  return INDEX_NEEDS.filter((_, i) => missing[i])
}
