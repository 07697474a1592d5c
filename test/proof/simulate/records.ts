import { z } from 'zod'
import { isReadable } from './edit-record.ts'
import type { Document } from './fake-database.ts'
import type { Published } from './monitor.ts'
import { plainFields } from './stored-values.ts'

const statuses = ['running', 'waiting', 'succeeded', 'dead_lettered', 'cancelled', 'expired'] as const

/** A record as the invariants look at it: read by code of their own. */
const seenRecord = z.looseObject({
  key: z.string(),
  batch: z.string(),
  model: z.string().optional(),
  run: z.number(),
  /** A record that was edited by hand may hold too little to act on. */
  status: z.enum([...statuses, 'unreadable']),
  owner: z.string(),
  payloadHash: z.string().optional(),
  leaseMs: z.number().optional(),
  waitMs: z.number().optional(),
  waitsFor: z.array(z.string()).optional(),
  deadline: z.number().optional(),
  attempts: z.array(
    z.looseObject({
      ...{ run: z.number(), n: z.number(), owner: z.string() },
      ...{ outcome: z.string().optional(), cause: z.string().optional() },
      ...{ deployment: z.string().optional(), httpStatus: z.number().optional() },
    }),
  ),
  uncounted: z.record(z.string(), z.number()).optional(),
  folded: z.array(z.looseObject({ run: z.number(), n: z.number() })).optional(),
  error: z.looseObject({ kind: z.string(), code: z.string().optional() }).optional(),
  result: z.looseObject({ in: z.string(), owner: z.string().optional(), count: z.number().optional() }).optional(),
})

/** A record that was edited by hand: a lost field reads as in a new record. */
const editedRecord = z
  .object({
    ...{ batch: z.string().catch(''), run: z.number().catch(1), status: z.string().catch('') },
    ...{ owner: z.string().catch(''), payloadHash: z.string().optional().catch(undefined) },
  })
  .transform((record) => ({ ...record, attempts: [] }))

export type SeenRecord = z.infer<typeof seenRecord> & {
  /** When it was written, by the store's clock. Epoch milliseconds. */
  readonly writtenAt: number
}

const edited = new WeakSet<Document>()

/** From now on less is expected of this document. */
export function markEdited(document: Document): void {
  edited.add(document)
}

export const readRecord = onceEach((document: Document): SeenRecord => {
  const { seconds, nanos } = document.updateTime
  const writtenAt = seconds * 1_000 + nanos / 1_000_000
  const plain = plainFields(document.fields)
  if (!edited.has(document)) return { ...seenRecord.parse(plain), writtenAt }
  const status = statuses.find((known) => known === plain['status'])
  const key = document.name.slice(document.name.lastIndexOf('/') + 1)
  const isLost = status === undefined || !isReadable(document.fields)
  return { ...editedRecord.parse(plain), key, status: isLost ? 'unreadable' : status, writtenAt }
})

/** Documents never change, and are looked at many times. */
function onceEach<T>(read: (document: Document) => T): (document: Document) => T {
  const known = new WeakMap<Document, T>()
  return (document) => {
    const found = known.get(document)
    if (found !== undefined) return found
    const fresh = read(document)
    known.set(document, fresh)
    return fresh
  }
}

/** Whether its job waits or runs. Unknown for a record that cannot be read. */
export function isUnderWay({ status }: SeenRecord): boolean {
  return status === 'running' || status === 'waiting'
}

export function isOver(record: SeenRecord): boolean {
  return !isUnderWay(record) && record.status !== 'unreadable'
}

export function unknownsIn(record: SeenRecord, run: number): number {
  const { folded = [], uncounted } = record
  const sumOf = (entries: typeof folded) => entries.reduce((sum, { n }) => sum + n, 0)
  // Dropped by the last release, which keeps their count alone.
  const dropped = Math.max(0, (uncounted?.['ambiguous'] ?? 0) - sumOf(folded))
  const unserved = sumOf(folded.filter((entry) => entry.run === run)) + dropped
  return unserved + record.attempts.filter((attempt) => attempt.run === run && attempt.outcome === 'unknown').length
}

const seenLetter = z.looseObject({
  key: z.string().optional(),
  run: z.number(),
  reason: z.string().min(1),
  data: z.object({ sha256: z.string() }),
})
export type SeenLetter = z.infer<typeof seenLetter>

export const readLetter = onceEach(({ fields }: Document): SeenLetter => seenLetter.parse(plainFields(fields)))

/** Whether a record says how this message's job ended. */
export function covers(record: SeenRecord, { run, hash }: Pick<Published, 'run' | 'hash'>): boolean {
  if (!isOver(record)) return false
  if (record.run > run || (record.status === 'succeeded' && record.run < run)) return true
  return record.run === run && (record.payloadHash ?? hash) === hash
}
