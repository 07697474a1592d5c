import type { WaitUntil } from '../../shared/identity/access-token-source.ts'
import type { Failure } from '../../shared/job/failures.ts'
import type { Deployment } from '../../shared/settings.ts'
import { tokenEvidence } from '../token-failure.ts'
import { type Answers, judge, NO_ANSWERS, onAnswered } from './answers.ts'
import {
  decidePassage,
  type Gate,
  missingNow,
  OPEN,
  onDenied,
  onFault,
  onLetIn,
  onThrottled,
  onUnavailable,
} from './gate.ts'

/**
 * Holds requests back after a deployment refused or failed one in a way in which it would the next; and those of all
 * deployments of a resource that refuses tokens.
 */
export interface DeploymentGates {
  /** Lets one job in, or says why not now. */
  enter(deployment: Deployment): Entry
  /** Milliseconds for which a job that was let in waits before it sends; 0 for none. */
  waitMs(deployment: Deployment): number
  /** Why a deployment counts as missing now; undefined where it does not, or where it is time to ask it again. */
  missing(deployment: Deployment): Failure | undefined
  /** Says what a failure is, given what the deployment did lately. `job`: the key of the job that met it. */
  judge(deployment: Deployment, failure: Failure, job: string): Failure
  /**
   * Takes in how a request ended; undefined where it was answered. `unauthorized`: the resource refuses tokens, and
   * another one would change nothing.
   */
  learn(deployment: Deployment, failure: Failure | undefined, waitUntil: WaitUntil): void
}

type Entry =
  /** To be left again when the job has ended, however it did. */
  | { readonly isOpen: true; readonly leave: () => void }
  /** For so many milliseconds, or until the job that probes the deployment has ended. */
  | { readonly isOpen: false; readonly failure: Failure; readonly reopens: number | Promise<void> }

/**
 * Hears of gates that close for more than a quota, and open again. What it returns never rejects.
 *
 * `name`: of a deployment, `gpt-4o at HOST`; of all that a resource has, `* at HOST`.
 */
export interface GateWatch {
  closed(name: string, failure: Failure, nextTryAt: number): Promise<void>
  opened(name: string): Promise<void>
}

/** `now`: epoch milliseconds. `random`: 0 to 1. */
export function createDeploymentGates(now: () => number, random: () => number, watch: GateWatch): DeploymentGates {
  const gates = new Map<string, Gate>()
  const probes = new Map<string, Promise<void>>()
  const answers = new Map<string, Answers>()
  const gateOf = (name: string) => gates.get(name) ?? OPEN

  function change(name: string, after: Gate, waitUntil: WaitUntil): void {
    const before = gateOf(name)
    gates.set(name, after)
    if (after.closings > before.closings && after.failure !== undefined) {
      waitUntil(watch.closed(name, after.failure, after.closedUntil))
    } else if (after.closings < before.closings) {
      waitUntil(watch.opened(name))
    }
  }

  function probe(names: readonly string[]): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    for (const name of names) {
      gates.set(name, { ...gateOf(name), isProbed: true })
      probes.set(name, promise)
    }
    return () => {
      for (const name of names) {
        const gate = gateOf(name)
        // It is still probed where the probe ended before it could tell anything, or where the clock was set back meanwhile.
        if (gate.isProbed && probes.get(name) === promise) gates.set(name, { ...gate, isProbed: false })
      }
      resolve()
    }
  }

  return {
    enter(deployment) {
      const toProbe: string[] = []
      for (const name of [nameOfAll(deployment), nameOf(deployment)]) {
        const passage = decidePassage(gateOf(name), now())
        if (passage.kind === 'closed') {
          const { forMs, failure } = passage
          return { isOpen: false, failure, reopens: forMs ?? probes.get(name) ?? 0 }
        }
        if (passage.kind === 'probe') toProbe.push(name)
      }
      return { isOpen: true, leave: probe(toProbe) }
    },
    waitMs(deployment) {
      const closedUntil = Math.max(gateOf(nameOfAll(deployment)).closedUntil, gateOf(nameOf(deployment)).closedUntil)
      return Math.max(0, closedUntil - now())
    },
    missing: (deployment) => missingNow(gateOf(nameOf(deployment)), now()),
    judge(deployment, failure, job) {
      const name = nameOf(deployment)
      const [after, judged] = judge(answers.get(name) ?? NO_ANSWERS, failure, job, now())
      answers.set(name, after)
      return judged
    },
    learn(deployment, failure, waitUntil) {
      const [ofAll, own] = [nameOfAll(deployment), nameOf(deployment)]
      change(ofAll, learnedOfResource(gateOf(ofAll), failure, random(), now()), waitUntil)
      if (failure === undefined || failure.kind === 'oversized') answers.set(own, onAnswered(now()))
      change(own, learned(gateOf(own), failure, random(), now()), waitUntil)
    },
  }
}

function learnedOfResource(gate: Gate, failure: Failure | undefined, jitter: number, now: number): Gate {
  if (failure?.kind === 'unauthorized') return onDenied(gate, failure, jitter, now)
  return gate.closings > 0 && tokenEvidence(failure) === 'accepted' ? onLetIn(gate) : gate
}

/** Every kind has its own line, so that one more does not compile before somebody has decided what it means here. */
function learned(gate: Gate, failure: Failure | undefined, jitter: number, now: number): Gate {
  const letIn = () => (gate.closings === 0 && gate.faults === 0 ? gate : onLetIn(gate))
  if (failure === undefined) return letIn()
  switch (failure.kind) {
    case 'throttled':
      return onThrottled(gate, failure, jitter, now)
    case 'forbidden':
    case 'no_deployment':
      return onDenied(gate, failure, jitter, now)
    case 'unavailable':
      return onUnavailable(gate, failure, jitter, now)
    case 'unreachable':
    case 'timeout':
    case 'ambiguous':
      return onFault(gate, failure, jitter, now)
    case 'oversized':
      return letIn()
    case 'rejected':
      // Something in front of the service may have refused the request.
      return tokenEvidence(failure) === 'accepted' ? letIn() : gate
    // The resource refuses the token: its own gate closes.
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
      return gate
    default:
      return failure.kind satisfies never
  }
}

/** The resource of a deployment: the origin of its endpoint. */
export function resourceOf({ endpoint }: Deployment): string {
  return new URL(endpoint).origin
}

/** A deployment's name and its resource's: two resources may have deployments of one name. */
export function nameOf({ endpoint, deployment }: Deployment): string {
  return `${deployment} at ${new URL(endpoint).host}`
}

function nameOfAll({ endpoint }: Deployment): string {
  return `* at ${new URL(endpoint).host}`
}
