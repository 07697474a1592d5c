import { StoreError } from '../job-store.ts'
import type { Database } from './database.ts'
import { createFirestoreDocuments } from './firestore-documents.ts'
import { TALLY_FIELDS } from './status-tally.ts'

/** An index of several fields must be created. An index of a single field exists unless it was disabled. */
export interface Index {
  readonly collection: string
  readonly fields: readonly string[]
}

/** A value that no document has. */
const ABSENT = 'promptbridge-doctor'
const JOBS = 'promptJobs'

interface Need extends Index {
  /** The query, which finds no documents. */
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

/** The queries of the sweep and of the commands. */
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
 * Sends each kind of query once, and resolves with the indexes that are missing or still being built. Rejects with
 * StoreError if the database does not answer.
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
