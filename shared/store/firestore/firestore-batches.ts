import { z } from 'zod'
import { type BatchStore, isUnfinished, storedBatch, type UnfinishedBatches } from '../batch-store.ts'
import { StoreError } from '../job-store.ts'
import type { Database } from './database.ts'
import { createDocumentWriter } from './document-writer.ts'
import { timestamp } from './protocol.ts'
import { fields, toFields } from './values.ts'

const BATCHES = 'promptBatches'
/** When an unfinished batch was swept last; finished ones have none, so that a query by it finds only the others. */
const TO_SWEEP = 'toSweep'
const COMPLETE_TRIES = 5

/** Keeps batches in Firestore: `promptBatches/{batch}`. Rejects with StoreError. */
export function createFirestoreBatches(database: Database): BatchStore & UnfinishedBatches {
  const put = createDocumentWriter(database)
  // No document may be named `.`, `..` or `__x__`, and a batch may.
  const nameOf = (batch: string) => `${database.root}/${BATCHES}/batch:${encodeURIComponent(batch)}`

  async function open(name: string, createdAt: number): Promise<void> {
    await put({ name: nameOf(name), fields: toFields({ name, createdAt }), precondition: { exists: false } })
  }

  return {
    open,
    async seal(name, total) {
      await put({
        name: nameOf(name),
        fields: toFields({ total, [TO_SWEEP]: 0 }),
        mask: ['total', TO_SWEEP, 'completedAt'],
      })
    },
    async complete(name, completedAt) {
      for (let tries = 0; tries < COMPLETE_TRIES; tries += 1) {
        const { found } = getAnswer.parse(await database.get(nameOf(name)))
        if (!found || found.fields['completedAt'] !== undefined) return
        const changed = { fields: toFields({ completedAt }), mask: ['completedAt', TO_SWEEP] }
        const write = await put({ name: nameOf(name), ...changed, precondition: { updateTime: found.updateTime } })
        if (write.kind === 'written') return
      }
      throw new StoreError('unavailable', 'a batch changed too often to be completed now')
    },
    async cancel(name, cancelledAt) {
      await open(name, cancelledAt)
      await put({ name: nameOf(name), fields: toFields({ cancelledAt }), mask: ['cancelledAt'] })
    },
    async limitTokens(name, tokenLimit, now) {
      await open(name, now)
      const fields = toFields({ tokenLimit, [TO_SWEEP]: 0 })
      await put({ name: nameOf(name), fields, mask: ['tokenLimit', TO_SWEEP, 'completedAt'] })
    },
    async read(name) {
      const { found } = getAnswer.parse(await database.get(nameOf(name)))
      return storedBatch.optional().parse(found?.fields)
    },
    async unfinished(limit) {
      const found = await database.since(BATCHES, TO_SWEEP, 0, limit, 'ASCENDING')
      return found.flatMap((batch) => storedBatch.safeParse(batch).data ?? []).filter(isUnfinished)
    },
    async note(name, totals) {
      const { counts, tokens, sweptAt } = totals
      // In the mask without a value, an earlier sum goes: it does not belong to these counts.
      const swept = { counts, tokens: tokens && { ...tokens }, sweptAt, [TO_SWEEP]: sweptAt }
      await put({ name: nameOf(name), fields: toFields(swept), mask: Object.keys(swept) })
    },
    async latest() {
      return storedBatch.optional().parse(await database.newest(BATCHES, 'createdAt'))
    },
  }
}

const getAnswer = z.object({ found: z.object({ fields, updateTime: timestamp }).nullish() })
