import { backoffMs } from '../identity/renewal.ts'
import { type Failure, type FailureKind, MAX_WAIT_MS } from '../job/failures.ts'
import { spreadWait } from '../lib/retry-after.ts'

/** The circuit breaker of a deployment or of a resource. Times are epoch milliseconds. */
export interface Circuit {
  /** No request is sent before this. */
  readonly openUntil: number
  /** What opened it. */
  readonly failure?: Failure
  /** Requests in a row that did not reach the deployment, or whose result is unknown. */
  readonly faults: number
  /** How often in a row it opened for anything but the quota. */
  readonly trips: number
  /** It is half-open, and the one request that tests the deployment is under way. */
  readonly isProbing: boolean
}

export const CLOSED: Circuit = { openUntil: 0, faults: 0, trips: 0, isProbing: false }

export type CircuitDecision =
  /** The circuit is closed: any request may be sent. */
  | { readonly kind: 'allow' }
  /** The circuit is half-open: this request may be sent, and no other until it has ended. */
  | { readonly kind: 'probe' }
  /** The circuit is open. `forMs`: for how long at least; undefined while a probe is under way. */
  | { readonly kind: 'refuse'; readonly forMs: number | undefined; readonly failure: Failure }

/** So many faults in a row open a circuit. */
const FAULTS_TO_OPEN = 5
const DEFAULT_THROTTLE_MS = 1_000

/** Whether a failure lasts until a person changes the set-up; jobs are not held for it. */
export function isSetUpFault(kind: FailureKind): boolean {
  return kind === 'forbidden' || kind === 'unauthorized' || kind === 'no_deployment'
}

/** Decides whether a request may be sent now. */
export function decideRequest({ openUntil, failure, trips, isProbing }: Circuit, now: number): CircuitDecision {
  if (failure !== undefined && now < openUntil) {
    const forMs = openUntil - now
    return { kind: 'refuse', forMs, failure: { ...failure, retryAfterMs: forMs } }
  }
  if (failure === undefined || trips === 0) return { kind: 'allow' }
  return isProbing ? { kind: 'refuse', forMs: undefined, failure } : { kind: 'probe' }
}

/**
 * Why a deployment counts as missing now: from the request that found it missing until a probe is due, and while a probe is
 * under way. How long it has been missing is known only until then.
 */
export function missingNow({ failure, openUntil, isProbing }: Circuit, now: number): Failure | undefined {
  if (failure?.kind !== 'no_deployment') return undefined
  if (now < openUntil) return failure
  return isProbing ? { ...failure, missingForMs: 0 } : undefined
}

/** The deployment accepted a request of this caller: the circuit closes, unless the quota opened it. */
export function onAccepted(circuit: Circuit): Circuit {
  const { failure, openUntil } = circuit
  return failure?.kind === 'throttled' ? { ...CLOSED, failure, openUntil } : CLOSED
}

/** The quota is used up. Only callers that the deployment accepts can use it. `jitter`: 0 to 1. */
export function onThrottled(circuit: Circuit, failure: Failure, jitter: number, now: number): Circuit {
  const { retryAfterMs = DEFAULT_THROTTLE_MS } = failure
  const waitMs = spreadWait(Math.min(retryAfterMs, MAX_WAIT_MS), jitter)
  return { ...CLOSED, failure, openUntil: Math.max(onAccepted(circuit).openUntil, now + waitMs) }
}

/** The deployment denies this caller, or is missing. Denials of requests that were under way together count as one. */
export function onDenied(circuit: Circuit, failure: Failure, jitter: number, now: number): Circuit {
  if (circuit.trips > 0 && now < circuit.openUntil) return circuit
  return trip(circuit, failure, backoffMs('configuration', circuit.trips, jitter), now)
}

/** The request did not reach the deployment, or its result is unknown. */
export function onFault(circuit: Circuit, failure: Failure, jitter: number, now: number): Circuit {
  const faults = circuit.faults + 1
  const isEnough = faults >= FAULTS_TO_OPEN || circuit.trips > 0
  if (!isEnough || (circuit.trips > 0 && now < circuit.openUntil)) return { ...circuit, faults }
  return trip({ ...circuit, faults }, failure, backoffMs('passing', circuit.trips, jitter), now)
}

/** The deployment answered that it cannot serve requests now. One such answer opens the circuit if it says for how long. */
export function onUnavailable(circuit: Circuit, failure: Failure, jitter: number, now: number): Circuit {
  const { retryAfterMs = 0 } = failure
  if (retryAfterMs === 0) return onFault(circuit, failure, jitter, now)
  const waitMs = spreadWait(Math.min(retryAfterMs, MAX_WAIT_MS), jitter)
  if (circuit.trips === 0 || now >= circuit.openUntil) return trip(circuit, failure, waitMs, now)
  return { ...circuit, openUntil: Math.max(circuit.openUntil, now + waitMs) }
}

function trip(circuit: Circuit, failure: Failure, waitMs: number, now: number): Circuit {
  return {
    openUntil: Math.max(circuit.openUntil, now + waitMs),
    failure,
    faults: circuit.faults,
    trips: circuit.trips + 1,
    isProbing: false,
  }
}
