import { z } from 'zod'
import { type BatchStore, storedBatch } from '../batch-store.ts'
import type { Database } from './database.ts'
import { createDocumentWriter } from './document-writer.ts'
import { fields, toFields } from './values.ts'

const BATCHES = 'promptBatches'

/** Keeps batches in Firestore: `promptBatches/{batch}`. Rejects with StoreError. */
export function createFirestoreBatches(database: Database): BatchStore {
  const put = createDocumentWriter(database)
  // No document may be named `.`, `..` or `__x__`, and a batch may.
  const nameOf = (batch: string) => `${database.root}/${BATCHES}/batch:${encodeURIComponent(batch)}`

  async function open(name: string, createdAt: number): Promise<void> {
    await put({ name: nameOf(name), fields: toFields({ name, createdAt }), precondition: { exists: false } })
  }

  return {
    open,
    async seal(name, total) {
      await put({ name: nameOf(name), fields: toFields({ total }), mask: ['total'] })
    },
    async complete(name, completedAt) {
      await put({ name: nameOf(name), fields: toFields({ completedAt }), mask: ['completedAt'] })
    },
    async cancel(name, cancelledAt) {
      await open(name, cancelledAt)
      await put({ name: nameOf(name), fields: toFields({ cancelledAt }), mask: ['cancelledAt'] })
    },
    async read(name) {
      const { found } = getAnswer.parse(await database.get(nameOf(name)))
      return storedBatch.optional().parse(found?.fields)
    },
    async latest() {
      return storedBatch.optional().parse(await database.newest(BATCHES, 'createdAt'))
    },
  }
}

const getAnswer = z.object({ found: z.object({ fields }).nullish() })
