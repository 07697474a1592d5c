import type { FailureKind, RetryPolicy } from './failures.ts'
import type { Job } from './job.ts'
import type { Attempt, AttemptOutcome, EndError, Usage } from './record.ts'

export interface ClaimRequest {
  readonly job: Job
  /** A nonce of this one claim. */
  readonly owner: string
  readonly leaseMs: number
  readonly policy: RetryPolicy
  /** How long a run may wait for its next attempt. */
  readonly maxAgeMs: number
  /** Epoch milliseconds. */
  readonly now: number
}

/** What a reply says about its attempt. */
export type AttemptReport = Pick<Attempt, 'deployment' | 'httpStatus' | 'requestId' | 'usage' | 'usageKnown' | 'cause'>

interface EndedAttempt {
  readonly outcome: AttemptOutcome
  readonly report: AttemptReport
}

export type Ending =
  | {
      readonly status: 'succeeded'
      /** The answer as JSON text. */
      readonly result: string
      readonly usage: Usage
      /** False where the usage is an estimate. */
      readonly usageKnown?: false
      readonly finishReason: string
      readonly report: AttemptReport
    }
  | {
      readonly status: 'dead_lettered'
      readonly error: EndError
      /** Absent where nothing was sent that counts as an attempt. */
      readonly attempt?: EndedAttempt
    }
  | { readonly status: 'cancelled'; readonly error: EndError; readonly attempt?: EndedAttempt }
  | { readonly status: 'expired'; readonly error: EndError }

/** How an attempt ended that is to be followed by another; `waitMs`: for how long none may start, 0 where absent. */
export type Release = { readonly waitMs?: number } & (
  | { readonly marks: 'attempt'; readonly outcome: AttemptOutcome; readonly report: AttemptReport }
  | { readonly marks: 'folded' }
  | { readonly marks: 'none'; readonly kind: FailureKind }
)
