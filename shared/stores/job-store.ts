import type { ClaimRequest, Ending, Release } from '../job/ending.ts'
import type { JobRecord, RunningRecord, SettledRecord, StatusCounts } from '../job/record.ts'
import type { ListedRecord } from './record-documents.ts'

/** A claim that is held: what settle and release need to know it by. */
export interface Held {
  readonly record: RunningRecord
  /** Opaque: the store's own mark of the record's last change. */
  readonly revision: string
}

export type ClaimResult =
  | { readonly kind: 'run'; readonly held: Held }
  /** Settled, by an earlier delivery or because this one found its last attempt dead. */
  | { readonly kind: 'settled'; readonly record: SettledRecord }
  | { readonly kind: 'busy'; readonly retryInMs: number }
  /** Its next attempt may not start yet. */
  | { readonly kind: 'waits'; readonly retryInMs: number }
  | { readonly kind: 'conflict' }
  | { readonly kind: 'superseded' }
  | { readonly kind: 'impossible_run' }

type SettleResult =
  | { readonly kind: 'settled'; readonly record: SettledRecord }
  /** The claim is no longer ours; nothing was written. */
  | { readonly kind: 'dropped' }

/** The worker's way to the records. Every method rejects with StoreError when the store cannot be reached. */
export interface JobStore {
  claim(request: ClaimRequest): Promise<ClaimResult>
  settle(held: Held, ending: Ending, now: number): Promise<SettleResult>
  /** Ends the attempt and leaves the job to be tried again. A claim that is no longer ours is left alone. */
  release(held: Held, release: Release, now: number): Promise<void>
}

/** Reads records and their results, for people and reports. */
export interface JobReader {
  read(key: string): Promise<JobRecord | undefined>
  /** The answer's JSON text, put together from its parts where it has some. */
  readResult(record: SettledRecord): Promise<string | undefined>
  list(batch: string): AsyncIterable<ListedRecord>
  /** How many records of a batch have each status. */
  countByStatus(batch: string): Promise<StatusCounts>
}

export class StoreError extends Error {
  override readonly name = 'StoreError'
  /** refused: the store can never take this document as it is. no_index: it lacks what this query needs. */
  readonly code: 'unavailable' | 'corrupt' | 'refused' | 'no_index'

  constructor(code: StoreError['code'], message: string, cause?: unknown) {
    super(message, { cause })
    this.code = code
  }
}

/** Whether the same call may succeed later; a write may then have been applied. */
export function isUnavailable(error: unknown): boolean {
  return error instanceof StoreError && error.code === 'unavailable'
}
