import type { Deployment } from '../config/deployments.ts'
import type { WaitUntil } from '../identity/access-token-source.ts'
import type { Failure } from '../job/failures.ts'
import type { Clock } from '../lib/clock.ts'
import { type Answers, judge, NO_ANSWERS, onAnswered } from './answers.ts'
import {
  type Circuit,
  CLOSED,
  decideRequest,
  missingNow,
  onAccepted,
  onDenied,
  onFault,
  onThrottled,
  onUnavailable,
} from './circuit.ts'
import { tokenEvidence } from './token-evidence.ts'

/**
 * Circuit breakers: one for each deployment, and one for all deployments of a resource. The one of a resource opens if the
 * resource refuses tokens.
 */
export interface Circuits {
  /** Allows one job to send a request to a deployment, or returns why this is not possible now. */
  enter(deployment: Deployment): Entry
  /** Milliseconds for which a job that was allowed waits before it sends; 0 for none. */
  waitMs(deployment: Deployment): number
  /** Why a deployment counts as missing now. Undefined if it does not, or if a probe is due. */
  missing(deployment: Deployment): Failure | undefined
  /** Classifies a failure by what the deployment did lately. `job`: the key of the job that met it. */
  judge(deployment: Deployment, failure: Failure, job: string): Failure
  /**
   * Records the failure of a request, or undefined if it was answered. `unauthorized`: the resource refuses tokens, and
   * would refuse another token too.
   */
  learn(deployment: Deployment, failure: Failure | undefined, waitUntil: WaitUntil): void
}

export type Entry =
  /** `leave` is called when the job has ended, with any result. */
  | { readonly isAllowed: true; readonly leave: () => void }
  /** `waitFor`: milliseconds, or the end of the job that probes the deployment. */
  | { readonly isAllowed: false; readonly failure: Failure; readonly waitFor: number | Promise<void> }

/**
 * Is called when a circuit opens for anything but the quota, and when it closes. The promises never reject.
 *
 * `name`: of a deployment; of all deployments of a resource, `* at HOST`.
 */
export interface CircuitObserver {
  opened(name: string, failure: Failure, nextTryAt: number): Promise<void>
  closed(name: string): Promise<void>
}

/** `now`: epoch milliseconds. `random`: 0 to 1. */
export function createCircuits(now: Clock, random: () => number, observer: CircuitObserver): Circuits {
  const circuits = new Map<string, Circuit>()
  const probes = new Map<string, Promise<void>>()
  const answers = new Map<string, Answers>()
  const circuitOf = (name: string) => circuits.get(name) ?? CLOSED

  function change(name: string, after: Circuit, waitUntil: WaitUntil): void {
    const before = circuitOf(name)
    circuits.set(name, after)
    if (after.trips > before.trips && after.failure !== undefined) {
      waitUntil(observer.opened(name, after.failure, after.openUntil))
    } else if (after.trips < before.trips) {
      waitUntil(observer.closed(name))
    }
  }

  function probe(names: readonly string[]): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    for (const name of names) {
      circuits.set(name, { ...circuitOf(name), isProbing: true })
      probes.set(name, promise)
    }
    return () => {
      for (const name of names) {
        const circuit = circuitOf(name)
        // Still set if the probe ended without a result, or if the clock was set back meanwhile.
        if (circuit.isProbing && probes.get(name) === promise) circuits.set(name, { ...circuit, isProbing: false })
      }
      resolve()
    }
  }

  return {
    enter(deployment) {
      const toProbe: string[] = []
      for (const name of [nameOfAll(deployment), deployment.name]) {
        const decision = decideRequest(circuitOf(name), now())
        if (decision.kind === 'refuse') {
          const { forMs, failure } = decision
          return { isAllowed: false, failure, waitFor: forMs ?? probes.get(name) ?? 0 }
        }
        if (decision.kind === 'probe') toProbe.push(name)
      }
      return { isAllowed: true, leave: probe(toProbe) }
    },
    waitMs(deployment) {
      const openUntil = Math.max(circuitOf(nameOfAll(deployment)).openUntil, circuitOf(deployment.name).openUntil)
      return Math.max(0, openUntil - now())
    },
    missing: (deployment) => missingNow(circuitOf(deployment.name), now()),
    judge(deployment, failure, job) {
      const { name } = deployment
      const [after, judged] = judge(answers.get(name) ?? NO_ANSWERS, failure, job, now())
      answers.set(name, after)
      return judged
    },
    learn(deployment, failure, waitUntil) {
      const [ofAll, own] = [nameOfAll(deployment), deployment.name]
      change(ofAll, learnedOfResource(circuitOf(ofAll), failure, random(), now()), waitUntil)
      if (failure === undefined || failure.kind === 'oversized') answers.set(own, onAnswered(now()))
      change(own, learned(circuitOf(own), failure, random(), now()), waitUntil)
    },
  }
}

function learnedOfResource(circuit: Circuit, failure: Failure | undefined, jitter: number, now: number): Circuit {
  if (failure?.kind === 'unauthorized') return onDenied(circuit, failure, jitter, now)
  return circuit.trips > 0 && tokenEvidence(failure) === 'accepted' ? onAccepted(circuit) : circuit
}

/** Each kind of failure has a line, so that a new kind does not compile before its effect is decided. */
function learned(circuit: Circuit, failure: Failure | undefined, jitter: number, now: number): Circuit {
  const accepted = () => (circuit.trips === 0 && circuit.faults === 0 ? circuit : onAccepted(circuit))
  if (failure === undefined) return accepted()
  switch (failure.kind) {
    case 'throttled':
      return onThrottled(circuit, failure, jitter, now)
    case 'forbidden':
    case 'no_deployment':
      return onDenied(circuit, failure, jitter, now)
    case 'unavailable':
      return onUnavailable(circuit, failure, jitter, now)
    case 'unreachable':
    case 'timeout':
    case 'ambiguous':
      return onFault(circuit, failure, jitter, now)
    case 'oversized':
      return accepted()
    case 'rejected':
      // Something in front of the service may have refused the request.
      return tokenEvidence(failure) === 'accepted' ? accepted() : circuit
    // The resource refuses the token: the circuit of the resource opens.
    case 'unauthorized':
    // No reply of a model.
    case 'invalid':
    case 'conflict':
    case 'expired':
    case 'token':
    case 'budget':
    case 'store':
    case 'busy':
    case 'draining':
      return circuit
    default:
      return failure.kind satisfies never
  }
}

/** Of all deployments of a resource. */
function nameOfAll({ endpoint }: Deployment): string {
  return `* at ${new URL(endpoint).host}`
}
