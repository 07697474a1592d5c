import { z } from 'zod'
import { jobStatuses, type StatusCounts, type Usage } from '../job/record.ts'

/** What the sweep counted of a batch. */
export interface BatchTotals {
  readonly counts: StatusCounts
  /** Absent where the store cannot sum them. */
  readonly tokens?: Usage
  /** Epoch milliseconds. */
  readonly sweptAt: number
}

/** What is known of a batch whatever its status. Times are epoch milliseconds. */
interface BatchFacts extends Partial<BatchTotals> {
  readonly name: string
  readonly createdAt: number
  /** Absent unless it was cancelled: none of its jobs is started any more. */
  readonly cancelledAt?: number
  /** Absent unless it is limited: when its answers have taken so many tokens, no further job of it is asked. */
  readonly tokenLimit?: number
}

/** A set of jobs that were submitted together. */
export type SealedBatch = Extract<Batch, { status: 'sealed' }>
export type Batch = BatchFacts &
  (
    | /** Still being submitted. */ { readonly status: 'open' }
    /** Submitted whole: `total` jobs belong to it. */
    | { readonly status: 'sealed'; readonly total: number }
    | { readonly status: 'completed'; readonly total: number; readonly completedAt: number }
  )

/** Batches that the sweep counts: those submitted whole, and those of which the tokens are limited. */
export type UnfinishedBatch = Exclude<Batch, { status: 'completed' }>

/** A batch as stores keep it. */
export const storedBatch = z
  .object({
    name: z.string(),
    createdAt: z.number(),
    total: z.number().nullish(),
    cancelledAt: z.number().nullish(),
    completedAt: z.number().nullish(),
    tokenLimit: z.number().nullish(),
    counts: z.partialRecord(z.enum(jobStatuses), z.number()).optional(),
    tokens: z.object({ promptTokens: z.number(), completionTokens: z.number() }).optional(),
    sweptAt: z.number().optional(),
  })
  .transform(({ name, createdAt, total, cancelledAt, completedAt, tokenLimit, counts, tokens, sweptAt }): Batch => {
    const facts = {
      ...{ name, createdAt },
      ...(typeof cancelledAt === 'number' && { cancelledAt }),
      ...(typeof tokenLimit === 'number' && { tokenLimit }),
      ...(counts && sweptAt !== undefined && { counts, ...(tokens && { tokens }), sweptAt }),
    }
    if (typeof total !== 'number') return { status: 'open', ...facts }
    if (typeof completedAt !== 'number') return { status: 'sealed', ...facts, total }
    return { status: 'completed', ...facts, total, completedAt }
  })

export function isUnfinished(batch: Batch): batch is UnfinishedBatch {
  return batch.status === 'sealed' || (batch.status === 'open' && batch.tokenLimit !== undefined)
}

/** Keeps batches. Rejects with StoreError. */
export interface BatchStore {
  /** A batch that is there already stays as it is. */
  open(name: string, now: number): Promise<void>
  /** Says how many jobs belong to a batch; if it was completed, it goes on. */
  seal(name: string, total: number): Promise<void>
  /** Only the first time counts. */
  complete(name: string, now: number): Promise<void>
  /** Says that no job of a batch is to be started any more; the batch is made where there is none. */
  cancel(name: string, now: number): Promise<void>
  /**
   * Says how many tokens a batch may take; the batch is made where there is none. One that was completed goes on: its
   * tokens have to be counted again.
   */
  limitTokens(name: string, tokenLimit: number, now: number): Promise<void>
  read(name: string): Promise<Batch | undefined>
  /** The batch that was opened last. */
  latest(): Promise<Batch | undefined>
}

/** What the sweep needs of batches. Rejects with StoreError. */
export interface UnfinishedBatches extends Pick<BatchStore, 'complete'> {
  /** Those that the sweep counts, at most so many: those first that were swept longest ago. */
  unfinished(limit: number): Promise<readonly UnfinishedBatch[]>
  /** Writes what was counted of one. */
  note(name: string, totals: BatchTotals): Promise<void>
}
