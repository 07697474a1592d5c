/**
 * What went wrong with a job, in our own terms: adapters say what they saw, this table says what it does.
 *
 * - invalid: unparseable, bad schema, over a cap, or a model nobody serves
 * - conflict: another payload took the same id and run
 * - expired: its deadline passed before it was started
 * - token: no Google ID token, or Entra would not exchange it
 * - unauthorized: Azure refused the token
 * - forbidden: Azure knows the caller and denies it the deployment
 * - no_deployment: Azure knows no such deployment
 * - rejected: Azure refused the request for what it says
 * - throttled: the quota is used up for now
 * - budget: the batch's token limit is reached, or the day's
 * - unreachable: certainly not sent
 * - oversized: the answer is longer than is read, and was paid for
 * - ambiguous: sent, and nobody knows whether it was billed
 * - store: the record cannot be read or written now
 * - busy: another delivery holds the job, or this instance is full
 * - draining: this instance is about to end
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
  'ambiguous',
  'store',
  'busy',
  'draining',
] as const
export type FailureKind = (typeof failureKinds)[number]

export interface Failure {
  readonly kind: FailureKind
  /** The vendor's own code where there is one: `content_filter`, `invalid_client`. */
  readonly code?: string
  /** One line that holds no prompt, token or answer. */
  readonly message: string
  /** What to do about it. */
  readonly hint?: string
  readonly httpStatus?: number
  /** Names the call to the vendor's support. */
  readonly requestId?: string
  /** Milliseconds to wait, as the vendor asked. */
  readonly retryAfterMs?: number
}

interface Rule {
  /** end: the job is settled and never tried again by itself. again: it is tried again. */
  readonly next: 'end' | 'again'
  /** Whether an attempt that ended so counts towards the attempts a job has. */
  readonly counts: boolean
  /** Whether the request itself may be sent again at once: only where nothing can have been billed. */
  readonly askAgain: boolean
}

const rules: Readonly<Record<FailureKind, Rule>> = {
  invalid: { next: 'end', counts: false, askAgain: false },
  conflict: { next: 'end', counts: false, askAgain: false },
  expired: { next: 'end', counts: false, askAgain: false },
  token: { next: 'again', counts: false, askAgain: false },
  unauthorized: { next: 'again', counts: false, askAgain: true },
  forbidden: { next: 'again', counts: false, askAgain: false },
  no_deployment: { next: 'end', counts: false, askAgain: false },
  rejected: { next: 'end', counts: true, askAgain: false },
  throttled: { next: 'again', counts: false, askAgain: true },
  budget: { next: 'end', counts: false, askAgain: false },
  unreachable: { next: 'again', counts: false, askAgain: true },
  oversized: { next: 'end', counts: true, askAgain: false },
  ambiguous: { next: 'again', counts: true, askAgain: false },
  store: { next: 'again', counts: false, askAgain: false },
  busy: { next: 'again', counts: false, askAgain: false },
  draining: { next: 'again', counts: false, askAgain: false },
}

/** Whether a request that failed so may be sent again within the same attempt. */
export function mayAskAgain(kind: FailureKind): boolean {
  return rules[kind].askAgain
}

export interface RetryPolicy {
  readonly maxAttempts: number
  /** What to do when nobody knows whether the last attempt was billed. */
  readonly onUnknown: 'retry' | 'dead-letter'
}

/**
 * Why a job ended without an answer: what failed, that its attempts ran out on answers nobody saw, its time, or that nobody
 * wants it.
 */
export const endReasons = [...failureKinds, 'unknown', 'max_attempts', 'max_age', 'cancelled'] as const
type EndReason = (typeof endReasons)[number]

export type Consequence =
  | { readonly next: 'end'; readonly counts: boolean; readonly reason: EndReason }
  | { readonly next: 'again'; readonly counts: boolean }

/** Decides what one failed attempt does to its job, given how many counted attempts the run had before it. */
export function afterFailure(kind: FailureKind, countedBefore: number, policy: RetryPolicy): Consequence {
  const { next, counts } = rules[kind]
  if (next === 'end') return { next, counts, reason: kind }
  if (kind === 'ambiguous' && policy.onUnknown === 'dead-letter') return { next: 'end', counts, reason: 'unknown' }
  if (counts && countedBefore + 1 >= policy.maxAttempts) return { next: 'end', counts, reason: 'max_attempts' }
  return { next, counts }
}
