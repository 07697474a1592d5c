import { z } from 'zod'

/** What is known of a batch whatever its status. Times are epoch milliseconds. */
interface BatchFacts {
  readonly name: string
  readonly createdAt: number
  /** Absent unless it was cancelled: none of its jobs is started any more. */
  readonly cancelledAt?: number
}

/** A set of jobs that were submitted together. */
export type Batch = BatchFacts &
  (
    | /** Still being submitted. */ { readonly status: 'open' }
    /** Submitted whole: `total` jobs belong to it. */
    | { readonly status: 'sealed'; readonly total: number }
    | { readonly status: 'completed'; readonly total: number; readonly completedAt: number }
  )

/** A batch as stores keep it. */
export const storedBatch = z
  .object({
    name: z.string(),
    createdAt: z.number(),
    total: z.number().nullish(),
    cancelledAt: z.number().nullish(),
    completedAt: z.number().nullish(),
  })
  .transform(({ name, createdAt, total, cancelledAt, completedAt }): Batch => {
    const facts = { name, createdAt, ...(typeof cancelledAt === 'number' && { cancelledAt }) }
    if (typeof total !== 'number') return { status: 'open', ...facts }
    if (typeof completedAt !== 'number') return { status: 'sealed', ...facts, total }
    return { status: 'completed', ...facts, total, completedAt }
  })

/** Keeps batches. Rejects with StoreError. */
export interface BatchStore {
  /** A batch that is there already stays as it is. */
  open(name: string, now: number): Promise<void>
  seal(name: string, total: number): Promise<void>
  complete(name: string, now: number): Promise<void>
  /** Says that no job of a batch is to be started any more; the batch is made where there is none. */
  cancel(name: string, now: number): Promise<void>
  read(name: string): Promise<Batch | undefined>
  /** The batch that was opened last. */
  latest(): Promise<Batch | undefined>
}
