import { z } from 'zod'

/** A set of jobs that were submitted together. Times are epoch milliseconds. */
export type Batch =
  /** Still being submitted. */
  | { readonly status: 'open'; readonly name: string; readonly createdAt: number }
  /** Submitted whole: `total` jobs belong to it. */
  | { readonly status: 'sealed'; readonly name: string; readonly createdAt: number; readonly total: number }
  | {
      readonly status: 'completed'
      readonly name: string
      readonly createdAt: number
      readonly total: number
      readonly completedAt: number
    }

/** A batch as stores keep it. */
export const storedBatch = z
  .object({ name: z.string(), createdAt: z.number(), total: z.number().nullish(), completedAt: z.number().nullish() })
  .transform(({ name, createdAt, total, completedAt }): Batch => {
    if (typeof total !== 'number') return { status: 'open', name, createdAt }
    if (typeof completedAt !== 'number') return { status: 'sealed', name, createdAt, total }
    return { status: 'completed', name, createdAt, total, completedAt }
  })

/** Keeps batches. Rejects with StoreError. */
export interface BatchStore {
  /** A batch that is there already stays as it is. */
  open(name: string, now: number): Promise<void>
  seal(name: string, total: number): Promise<void>
  complete(name: string, now: number): Promise<void>
  /** The batch that was opened last. */
  latest(): Promise<Batch | undefined>
}
