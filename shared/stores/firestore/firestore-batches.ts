import { z } from 'zod'
import { defined } from '../../lib/defined.ts'
import {
  type Batch,
  type BatchOrigin,
  type BatchStore,
  isUnfinished,
  storedBatch,
  type UnfinishedBatches,
} from '../batch-store.ts'
import { StoreError } from '../job-store.ts'
import type { Database, NamedFields } from './database.ts'
import { createDocumentWriter } from './document-writer.ts'
import { timestamp } from './protocol.ts'
import { fields, type PlainMap, toFields } from './values.ts'

const BATCHES = 'promptBatches'
/** When an unfinished batch was looked at last; the others have none, so that a query by it finds none of them. */
const TO_SWEEP = 'toSweep'
/** The fields that are removed if an ended batch is reopened. */
const ENDINGS = ['completedAt', 'incomplete']
const UPDATE_TRIES = 5

/** Keeps batches in Firestore: `promptBatches/{batch}`. Rejects with StoreError. */
export function createFirestoreBatches(database: Database): BatchStore & UnfinishedBatches {
  const put = createDocumentWriter(database)
  const root = `${database.root}/${BATCHES}/`
  // No document may be named `.`, `..` or `__x__`, and a batch may.
  const nameOf = (batch: string) => `${root}batch:${encodeURIComponent(batch)}`

  async function open(name: string, createdAt: number, { fingerprint, source }: BatchOrigin = {}): Promise<void> {
    const fields = toFields({ name, createdAt, ...defined({ fingerprint, source }) })
    await put({ name: nameOf(name), fields, precondition: { exists: false } })
  }

  /** Changes a batch only if it is in the expected state. A field that is in the mask without a value is deleted. */
  async function update(name: string, isExpected: (batch: Batch) => boolean, change: PlainMap): Promise<void> {
    for (let tries = 0; tries < UPDATE_TRIES; tries += 1) {
      const { found } = getAnswer.parse(await database.get(nameOf(name)))
      if (!found || !isExpected(storedBatch.parse({ ...found.fields, name }))) return
      const changed = { fields: toFields(change), mask: Object.keys(change) }
      const write = await put({ name: nameOf(name), ...changed, precondition: { updateTime: found.updateTime } })
      if (write.kind === 'written') return
    }
    throw new StoreError('unavailable', 'a batch changed too often to be changed now')
  }

  /** Another sweep may have counted a batch that this one ended. Where that fails, the next sweep finds it again. */
  async function unmark(ended: readonly Batch[]): Promise<void> {
    const hasEnded = (batch: Batch) => !isUnfinished(batch)
    await Promise.allSettled(ended.map(({ name }) => update(name, hasEnded, { [TO_SWEEP]: undefined })))
  }

  function readNamed({ name, fields }: NamedFields): readonly Batch[] {
    const batch = batchIn(name.slice(root.length))
    return batch === undefined ? [] : [storedBatch.parse({ ...fields, name: batch })]
  }

  return {
    open,
    async seal(name, total, sealedAt, linked) {
      const sealed = { total, sealedAt, ...defined({ linked }), [TO_SWEEP]: 0 }
      await put({ name: nameOf(name), fields: toFields(sealed), mask: [...Object.keys(sealed), ...ENDINGS] })
    },
    end(name, { as, total, at }) {
      const ending = as === 'completed' ? { completedAt: at } : { incomplete: { at, total } }
      const isAsCounted = (batch: Batch) => batch.status === 'sealed' && batch.total === total
      return update(name, isAsCounted, { ...ending, [TO_SWEEP]: undefined })
    },
    async cancel(name, cancelledAt) {
      await open(name, cancelledAt)
      await put({ name: nameOf(name), fields: toFields({ cancelledAt }), mask: ['cancelledAt'] })
    },
    async limitTokens(name, tokenLimit, activeAt) {
      await open(name, activeAt)
      const limited = { tokenLimit, activeAt, [TO_SWEEP]: 0 }
      await put({ name: nameOf(name), fields: toFields(limited), mask: [...Object.keys(limited), ...ENDINGS] })
    },
    async read(name) {
      const { found } = getAnswer.parse(await database.get(nameOf(name)))
      return found ? storedBatch.parse({ ...found.fields, name }) : undefined
    },
    async *unfinished(limit) {
      let after: { readonly at: number; readonly name: string } | undefined
      do {
        const range = { since: 0, direction: 'ASCENDING', limit, after } as const
        const page = await database.since(BATCHES, TO_SWEEP, range)
        const batches = page.flatMap(readNamed)
        await unmark(batches.filter((batch) => !isUnfinished(batch)))
        yield batches.filter(isUnfinished)
        const last = page.length < limit ? undefined : page.at(-1)
        after = last && { at: z.number().parse(last.fields[TO_SWEEP]), name: last.name }
      } while (after !== undefined)
    },
    async note(name, totals) {
      const { counts, tokens, sweptAt, activeAt } = totals
      // An earlier sum does not belong to these counts. A field in the mask without a value is deleted.
      const swept = { counts, tokens: tokens && { ...tokens }, sweptAt, activeAt, deferredAt: undefined }
      const noted = { ...swept, [TO_SWEEP]: sweptAt }
      await put({ name: nameOf(name), fields: toFields(noted), mask: Object.keys(noted), precondition: EXISTS })
    },
    async defer(name, deferredAt) {
      const deferred = { deferredAt, [TO_SWEEP]: deferredAt }
      await put({ name: nameOf(name), fields: toFields(deferred), mask: Object.keys(deferred), precondition: EXISTS })
    },
    leaveOut({ name, tokenLimit, activeAt }) {
      const isAsCounted = (batch: Batch) =>
        batch.status === 'open' && batch.tokenLimit === tokenLimit && batch.activeAt === activeAt
      return update(name, isAsCounted, { [TO_SWEEP]: undefined })
    },
    async list(limit) {
      const range = { since: 0, direction: 'DESCENDING', limit } as const
      return (await database.since(BATCHES, 'createdAt', range)).flatMap(readNamed)
    },
  }
}

/** A batch that was deleted meanwhile is not made again. */
const EXISTS = { exists: true } as const

/** The batch of a document, or undefined if the document's name is malformed. */
function batchIn(document: string): string | undefined {
  try {
    return document.startsWith('batch:') ? decodeURIComponent(document.slice('batch:'.length)) : undefined
  } catch {
    return undefined
  }
}

const getAnswer = z.object({ found: z.object({ fields, updateTime: timestamp }).nullish() })
