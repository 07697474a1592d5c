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

/** Keeps batches. Rejects with StoreError. */
export interface BatchStore {
  open(name: string, now: number): Promise<void>
  seal(name: string, total: number): Promise<void>
  complete(name: string, now: number): Promise<void>
  /** The batch that was opened last. */
  latest(): Promise<Batch | undefined>
  close(): void
}
