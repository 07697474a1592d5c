import type { Usage } from './record.ts'

/**
 * The kinds of failure of a job. Adapters report a kind, and this table defines its effect.
 *
 * - invalid: unparseable, bad schema, over a cap, or a model that no deployment serves
 * - conflict: another payload took the same id and run
 * - expired: its deadline passed before it was started
 * - token: no Google ID token, or Entra would not exchange it
 * - unauthorized: the provider refused the credential
 * - forbidden: the configuration denies the caller the deployment: role, tenant, network, subdomain, redirect
 * - no_deployment: the provider knows no such deployment
 * - rejected: the provider refused the content of the request
 * - throttled: the quota is used up for now
 * - budget: the batch's token limit is reached, or the day's
 * - unreachable: certainly not sent
 * - oversized: the answer exceeds the size limit, and was billed
 * - unavailable: the provider answered that it cannot serve requests now; whether it billed this one is unknown
 * - timeout: no answer arrived within MODEL_TIMEOUT_SECONDS
 * - ambiguous: sent, and it is unknown whether it was billed
 * - store: the record cannot be read or written now
 * - busy: another delivery holds the job, or this instance is full
 * - draining: this instance is shutting down
 */
export const failureKinds = [
  'invalid',
  'conflict',
  'expired',
  'token',
  'unauthorized',
  'forbidden',
  'no_deployment',
  'rejected',
  'throttled',
  'budget',
  'unreachable',
  'oversized',
  'unavailable',
  'timeout',
  'ambiguous',
  'store',
  'busy',
  'draining',
] as const
export type FailureKind = (typeof failureKinds)[number]

/**
 * Which limit a throttled request met.
 *
 * - quota: the requests or tokens of the deployment
 * - capacity: the provider has no room in the region, whatever this deployment used
 * - lowered: a limit that the provider has set below the configured one for a while
 * - provisioned: the throughput that was bought for the deployment
 * - enqueued: the tokens that wait in the provider's own batches
 */
export type LimitKind = 'quota' | 'capacity' | 'lowered' | 'provisioned' | 'enqueued'

export interface Failure {
  readonly kind: FailureKind
  /** The vendor's code, if there is one: `content_filter`, `invalid_client`. */
  readonly code?: string
  /** One line that holds no prompt, token or answer. */
  readonly message: string
  /** How to fix it. */
  readonly hint?: string
  readonly httpStatus?: number
  /** The id by which the vendor's support finds the call. */
  readonly requestId?: string
  /** Milliseconds to wait, as the vendor asked. */
  readonly retryAfterMs?: number
  /** Set on a throttled request whose provider says which limit it met. */
  readonly limit?: LimitKind
  /** Set if a 400 or 429 has the form of the service itself. The service then has accepted the token. */
  readonly fromService?: true
  /** How long the deployment has been missing, in milliseconds. Set only if this request found it missing. */
  readonly missingForMs?: number
  /** The deployment that answered in place of the one that was asked, as the provider names it: the provider asked both. */
  readonly spilledTo?: string
  /** Tokens that were billed although there is no answer. */
  readonly usage?: Usage
}

interface Rule {
  readonly marks: Mark
  /** Whether the request may be sent again at once. True only if nothing can have been billed. */
  readonly askAgain: boolean
  /** Whether another deployment may be asked at once, within the same attempt. True only if nothing can have been billed. */
  readonly askElsewhere: boolean
}

/**
 * What the record keeps of an attempt that ended with this failure.
 *
 * - attempt: a separate attempt, which counts towards the limit of the run
 * - folded: one more in the run's count of attempts that the provider could not serve; these do not limit the run
 * - none: no attempt, only a count by kind of failure
 */
export type Mark = 'attempt' | 'folded' | 'none'

const rules: Readonly<Record<FailureKind, Rule>> = {
  invalid: { marks: 'none', askAgain: false, askElsewhere: false },
  conflict: { marks: 'none', askAgain: false, askElsewhere: false },
  expired: { marks: 'none', askAgain: false, askElsewhere: false },
  token: { marks: 'none', askAgain: false, askElsewhere: false },
  unauthorized: { marks: 'none', askAgain: true, askElsewhere: true },
  forbidden: { marks: 'none', askAgain: false, askElsewhere: true },
  no_deployment: { marks: 'none', askAgain: false, askElsewhere: true },
  rejected: { marks: 'attempt', askAgain: false, askElsewhere: false },
  throttled: { marks: 'none', askAgain: true, askElsewhere: true },
  budget: { marks: 'none', askAgain: false, askElsewhere: false },
  unreachable: { marks: 'none', askAgain: true, askElsewhere: true },
  oversized: { marks: 'attempt', askAgain: false, askElsewhere: false },
  unavailable: { marks: 'folded', askAgain: false, askElsewhere: false },
  timeout: { marks: 'attempt', askAgain: false, askElsewhere: false },
  ambiguous: { marks: 'attempt', askAgain: false, askElsewhere: false },
  store: { marks: 'none', askAgain: false, askElsewhere: false },
  busy: { marks: 'none', askAgain: false, askElsewhere: false },
  draining: { marks: 'none', askAgain: false, askElsewhere: false },
}

/** Whether a request with this failure may be sent again within the same attempt. */
export function mayAskAgain(kind: FailureKind): boolean {
  return rules[kind].askAgain
}

/** Whether a request with this failure may be sent to another deployment within the same attempt. */
export function mayAskElsewhere(kind: FailureKind): boolean {
  return rules[kind].askElsewhere
}

export interface RetryPolicy {
  readonly maxAttempts: number
  /** What to do if it is unknown whether the last attempt was billed. */
  readonly onUnknown: 'retry' | 'dead-letter'
}

/** Why a job ended without an answer, as records and dead letters keep it: the last release reads no other reason. */
export const endReasons = [
  'invalid',
  'conflict',
  'expired',
  'token',
  'unauthorized',
  'forbidden',
  'no_deployment',
  'rejected',
  'throttled',
  'budget',
  'unreachable',
  'oversized',
  'ambiguous',
  'store',
  'busy',
  'draining',
  'unknown',
  'max_attempts',
  'max_age',
  'cancelled',
] as const
export type EndReason = (typeof endReasons)[number]

/** The attempts of a job's current run. */
export interface RunSoFar {
  /** Attempts that count, timeouts included. */
  readonly counted: number
  readonly timeouts: number
  /** Attempts that the provider could not serve. */
  readonly folded: number
}

export type Consequence =
  | { readonly next: 'end'; readonly marks: 'attempt' | 'none'; readonly reason: EndReason }
  /** `waitMs`: the minimum wait before the next attempt. */
  | { readonly next: 'again'; readonly marks: Mark; readonly waitMs: number }

/** The longest time that a job waits because the provider asked for it, in milliseconds. */
export const MAX_WAIT_MS = 600_000
const FIRST_BACKOFF_MS = 10_000
/** After any other failure the wait concerns the deployment or the token, and comes before the claim. */
const WAITS_BY_RECORD: readonly FailureKind[] = ['throttled', 'unavailable', 'ambiguous']
/** A request that timed out twice will most likely time out again, and each attempt may be billed. */
const MAX_TIMEOUTS = 2
/** Statuses of requests that were not processed: a lock, a request that came too early, no capacity. */
const NOT_WORKED_ON: readonly (number | undefined)[] = [409, 425, 503, 529]
/** How long a deployment has to be missing before its jobs end, in milliseconds: a new one takes minutes to appear. */
const MISSING_ENDS_AFTER_MS = 600_000

/**
 * Decides what one failed attempt does to its job. `jitter`: 0 to 1.
 *
 * Two limits end a run: the number of attempts that count, and the run's age. Attempts that the provider could not
 * serve do not end a run.
 */
export function afterFailure(failure: Failure, run: RunSoFar, policy: RetryPolicy, jitter: number): Consequence {
  const { marks } = rules[failure.kind]
  const reason = endReason(failure, run, policy)
  if (reason !== undefined) return { next: 'end', marks: marks === 'none' ? 'none' : 'attempt', reason }
  return { next: 'again', marks, waitMs: waitAfter(failure, run, jitter) }
}

/** Why the job ends with this failure, or undefined if it is retried. */
function endReason(failure: Failure, { counted, timeouts }: RunSoFar, policy: RetryPolicy): EndReason | undefined {
  const { kind } = failure
  switch (kind) {
    case 'invalid':
    case 'conflict':
    case 'expired':
    case 'rejected':
    case 'budget':
    case 'oversized':
      return kind
    case 'no_deployment':
      return isMissingForGood(failure) ? kind : undefined
    case 'unavailable':
      return policy.onUnknown === 'dead-letter' && !NOT_WORKED_ON.includes(failure.httpStatus) ? 'unknown' : undefined
    case 'timeout':
    case 'ambiguous': {
      if (policy.onUnknown === 'dead-letter') return 'unknown'
      const isTimeout = kind === 'timeout' && timeouts + 1 >= MAX_TIMEOUTS
      return isTimeout || counted + 1 >= policy.maxAttempts ? 'max_attempts' : undefined
    }
    case 'token':
    case 'unauthorized':
    case 'forbidden':
    case 'throttled':
    case 'unreachable':
    case 'store':
    case 'busy':
    case 'draining':
      return undefined
    default:
      return kind satisfies never
  }
}

/** Whether a deployment has been missing for so long that its jobs end. */
export function isMissingForGood({ kind, missingForMs = 0 }: Failure): boolean {
  return kind === 'no_deployment' && missingForMs >= MISSING_ENDS_AFTER_MS
}

/** The wait that the provider asked for. If it gave none and is unavailable: 10 s, doubling to 10 min, with jitter. */
function waitAfter({ kind, retryAfterMs }: Failure, { folded }: RunSoFar, jitter: number): number {
  if (!WAITS_BY_RECORD.includes(kind)) return 0
  if (retryAfterMs !== undefined) return Math.min(retryAfterMs, MAX_WAIT_MS)
  if (kind !== 'unavailable') return 0
  return Math.ceil(Math.min(MAX_WAIT_MS, FIRST_BACKOFF_MS * 2 ** folded) * (1 - jitter / 2))
}
