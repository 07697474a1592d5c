import { backoffMs } from '../../shared/identity/renewal.ts'
import { type Failure, type FailureKind, MAX_WAIT_MS } from '../../shared/job/failures.ts'
import { spreadWait } from '../../shared/retry-after.ts'

/** What is known of a deployment, as far as asking it goes. Times are epoch milliseconds. */
export interface Gate {
  readonly closedUntil: number
  /** What closed it. */
  readonly failure?: Failure
  /** Requests in a row that it was not reached by, or of which nobody knows what became. */
  readonly faults: number
  /** How often in a row it was closed for something else than its quota. */
  readonly closings: number
  /** A request that tries whether it is well again is under way. */
  readonly isProbed: boolean
}

export const OPEN: Gate = { closedUntil: 0, faults: 0, closings: 0, isProbed: false }

export type Passage =
  | { readonly kind: 'open' }
  /** It may be asked by this one request, and by no other until that has ended. */
  | { readonly kind: 'probe' }
  /** `forMs` is how long at least; undefined where that hangs on the request that probes it. */
  | { readonly kind: 'closed'; readonly forMs: number | undefined; readonly failure: Failure }

/** So many faults in a row are no accident. */
const FAULTS_TO_CLOSE = 5
const DEFAULT_THROTTLE_MS = 1_000

/** Whether a failure lasts until a person changes the set-up, so that jobs are not held for it. */
export function isSetUpFault(kind: FailureKind): boolean {
  return kind === 'forbidden' || kind === 'unauthorized' || kind === 'no_deployment'
}

/** Decides whether a deployment may be asked now. */
export function decidePassage({ closedUntil, failure, closings, isProbed }: Gate, now: number): Passage {
  if (failure !== undefined && now < closedUntil) {
    const forMs = closedUntil - now
    return { kind: 'closed', forMs, failure: { ...failure, retryAfterMs: forMs } }
  }
  if (failure === undefined || closings === 0) return { kind: 'open' }
  return isProbed ? { kind: 'closed', forMs: undefined, failure } : { kind: 'probe' }
}

/**
 * Why a deployment counts as missing now: from the request that found it so until a probe is due, and while that is under
 * way. How long it has been missing is known only until then.
 */
export function missingNow({ failure, closedUntil, isProbed }: Gate, now: number): Failure | undefined {
  if (failure?.kind !== 'no_deployment') return undefined
  if (now < closedUntil) return failure
  return isProbed ? { ...failure, missingForMs: 0 } : undefined
}

/** It let a request of this caller in: whatever was wrong is over, but for its quota. */
export function onLetIn(gate: Gate): Gate {
  const { failure, closedUntil } = gate
  return failure?.kind === 'throttled' ? { ...OPEN, failure, closedUntil } : OPEN
}

/** Its quota is used up, which is only spent on callers that are let in. `jitter`: 0 to 1. */
export function onThrottled(gate: Gate, failure: Failure, jitter: number, now: number): Gate {
  const { retryAfterMs = DEFAULT_THROTTLE_MS } = failure
  const waitMs = spreadWait(Math.min(retryAfterMs, MAX_WAIT_MS), jitter)
  return { ...OPEN, failure, closedUntil: Math.max(onLetIn(gate).closedUntil, now + waitMs) }
}

/** It denies this caller, or is missing. Requests that were under way together are denied together: they are one denial. */
export function onDenied(gate: Gate, failure: Failure, jitter: number, now: number): Gate {
  if (gate.closings > 0 && now < gate.closedUntil) return gate
  return close(gate, failure, backoffMs('configuration', gate.closings, jitter), now)
}

/** It was not reached, or nobody knows what became of the request. */
export function onFault(gate: Gate, failure: Failure, jitter: number, now: number): Gate {
  const faults = gate.faults + 1
  const isEnough = faults >= FAULTS_TO_CLOSE || gate.closings > 0
  if (!isEnough || (gate.closings > 0 && now < gate.closedUntil)) return { ...gate, faults }
  return close({ ...gate, faults }, failure, backoffMs('passing', gate.closings, jitter), now)
}

/** It answered that it cannot serve requests now: where it says for how long, one such answer is enough. */
export function onUnavailable(gate: Gate, failure: Failure, jitter: number, now: number): Gate {
  const { retryAfterMs = 0 } = failure
  if (retryAfterMs === 0) return onFault(gate, failure, jitter, now)
  const waitMs = spreadWait(Math.min(retryAfterMs, MAX_WAIT_MS), jitter)
  if (gate.closings === 0 || now >= gate.closedUntil) return close(gate, failure, waitMs, now)
  return { ...gate, closedUntil: Math.max(gate.closedUntil, now + waitMs) }
}

function close(gate: Gate, failure: Failure, waitMs: number, now: number): Gate {
  return {
    closedUntil: Math.max(gate.closedUntil, now + waitMs),
    failure,
    faults: gate.faults,
    closings: gate.closings + 1,
    isProbed: false,
  }
}
