import type { FailureKind, RetryPolicy } from './failures.ts'
import type { Job } from './job.ts'
import type { Attempt, AttemptOutcome, EndError, Usage } from './record.ts'

export interface ClaimRequest {
  readonly job: Job
  /** A nonce that identifies this claim. */
  readonly owner: string
  readonly leaseMs: number
  readonly policy: RetryPolicy
  /** The name of the deployment that the job was admitted to, if it is to be asked. */
  readonly deployment?: string
  /** How long a run may wait for its next attempt. */
  readonly maxAgeMs: number
  /** Epoch milliseconds. */
  readonly now: number
}

/** The result of an attempt, from the provider's reply. */
export type AttemptReport = Pick<
  Attempt,
  'deployment' | 'model' | 'tier' | 'spilledTo' | 'httpStatus' | 'requestId' | 'usage' | 'usageKnown' | 'cause'
>

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
      /** False if the usage is an estimate. */
      readonly usageKnown?: false
      readonly finishReason: string
      readonly report: AttemptReport
    }
  | {
      readonly status: 'dead_lettered'
      readonly error: EndError
      /** Absent if nothing was sent that counts as an attempt. */
      readonly attempt?: EndedAttempt
    }
  | { readonly status: 'cancelled'; readonly error: EndError; readonly attempt?: EndedAttempt }
  | { readonly status: 'expired'; readonly error: EndError }

/**
 * How an attempt ended that another one follows. `waitMs`: the minimum wait before it, 0 if absent. `waitsFor`: the
 * deployments that the wait is for, all if absent.
 */
export type Release = { readonly waitMs?: number; readonly waitsFor?: readonly string[] } & (
  | { readonly marks: 'attempt'; readonly outcome: AttemptOutcome; readonly report: AttemptReport }
  | { readonly marks: 'folded' }
  | { readonly marks: 'none'; readonly kind: FailureKind }
)
