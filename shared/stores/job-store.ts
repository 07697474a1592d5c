import type { ClaimRequest, Ending, Release } from '../job/ending.ts'
import type { JobRecord, RunningRecord, SettledRecord, StatusCounts } from '../job/record.ts'
import type { ListedRecord } from './record-documents.ts'

/** A held claim, with the values by which settle and release identify it. */
export interface Held {
  readonly record: RunningRecord
  /** Opaque. The store's revision of the record. */
  readonly revision: string
}

export type ClaimResult =
  | { readonly kind: 'run'; readonly held: Held }
  /** Settled by an earlier delivery, or by this one because the instance of the last attempt had died. */
  | { readonly kind: 'settled'; readonly record: SettledRecord }
  | { readonly kind: 'busy'; readonly retryInMs: number }
  /** Its next attempt may not start yet. `waitsFor`: another deployment may be asked. */
  | { readonly kind: 'waits'; readonly retryInMs: number; readonly waitsFor?: readonly string[] | undefined }
  | { readonly kind: 'conflict' }
  | { readonly kind: 'superseded' }
  | { readonly kind: 'impossible_run' }

type SettleResult =
  | { readonly kind: 'settled'; readonly record: SettledRecord }
  /** Another claim holds the record. Nothing was written. */
  | { readonly kind: 'dropped' }

/** The worker's access to records. Every method rejects with StoreError if the store cannot be reached. */
export interface JobStore {
  claim(request: ClaimRequest): Promise<ClaimResult>
  settle(held: Held, ending: Ending, now: number): Promise<SettleResult>
  /** Ends the attempt, so that the job can be retried. Changes nothing if another claim holds the record. */
  release(held: Held, release: Release, now: number): Promise<void>
}

/** Reads records and their results, for people and reports. */
export interface JobReader {
  read(key: string): Promise<JobRecord | undefined>
  /** The answer's JSON text. If it is stored in parts, they are joined. */
  readResult(record: SettledRecord): Promise<string | undefined>
  list(batch: string): AsyncIterable<ListedRecord>
  /** How many records of a batch have each status. */
  countByStatus(batch: string): Promise<StatusCounts>
}

export class StoreError extends Error {
  override readonly name = 'StoreError'
  /** refused: the store can never accept this document. no_index: the index for this query is missing. */
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
