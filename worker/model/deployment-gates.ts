import type { WaitUntil } from '../../shared/identity/access-token-source.ts'
import type { Failure } from '../../shared/job/failures.ts'
import type { Deployment } from '../../shared/settings.ts'
import { decidePassage, type Gate, OPEN, onDenied, onFault, onLetIn, onThrottled } from './gate.ts'

/** Holds a deployment's requests back after it refused or failed one in a way in which it would the next. */
export interface DeploymentGates {
  /** Lets one job in, or says why not now. */
  enter(deployment: Deployment): Entry
  /** Milliseconds for which a job that was let in waits before it sends; 0 for none. */
  waitMs(deployment: Deployment): number
  /** Takes in how a request ended; undefined where it was answered. */
  learn(deployment: Deployment, failure: Failure | undefined, waitUntil: WaitUntil): void
}

type Entry =
  /** To be left again when the job has ended, however it did. */
  | { readonly isOpen: true; readonly leave: () => void }
  /** For so many milliseconds, or until the job that probes the deployment has ended. */
  | { readonly isOpen: false; readonly failure: Failure; readonly reopens: number | Promise<void> }

/** Hears of gates that close for more than a quota, and open again. What it returns never rejects. */
export interface GateWatch {
  closed(deployment: string, failure: Failure, nextTryAt: number): Promise<void>
  opened(deployment: string): Promise<void>
}

const STAYS_OPEN = () => undefined

/** `now`: epoch milliseconds. `random`: 0 to 1. */
export function createDeploymentGates(now: () => number, random: () => number, watch: GateWatch): DeploymentGates {
  const gates = new Map<string, Gate>()
  const probes = new Map<string, Promise<void>>()
  const gateOf = (name: string) => gates.get(name) ?? OPEN

  return {
    enter(deployment) {
      const name = nameOf(deployment)
      const gate = gateOf(name)
      const passage = decidePassage(gate, now())
      if (passage.kind === 'open') return { isOpen: true, leave: STAYS_OPEN }
      if (passage.kind === 'closed') {
        const { forMs, failure } = passage
        return { isOpen: false, failure, reopens: forMs ?? probes.get(name) ?? 0 }
      }
      const { promise, resolve } = Promise.withResolvers<void>()
      const probed = { ...gate, isProbed: true }
      gates.set(name, probed)
      probes.set(name, promise)
      const leave = () => {
        // Still as it was: the probe ended before it could tell anything.
        if (gates.get(name) === probed) gates.set(name, gate)
        resolve()
      }
      return { isOpen: true, leave }
    },
    waitMs: (deployment) => Math.max(0, gateOf(nameOf(deployment)).closedUntil - now()),
    learn(deployment, failure, waitUntil) {
      const name = nameOf(deployment)
      const before = gateOf(name)
      const after = learned(before, failure, random(), now())
      gates.set(name, after)
      if (after.closings > before.closings && after.failure !== undefined) {
        waitUntil(watch.closed(name, after.failure, after.closedUntil))
      } else if (after.closings < before.closings) {
        waitUntil(watch.opened(name))
      }
    },
  }
}

function learned(gate: Gate, failure: Failure | undefined, jitter: number, now: number): Gate {
  switch (failure?.kind) {
    case 'throttled':
      return onThrottled(gate, failure, jitter, now)
    case 'forbidden':
      return onDenied(gate, failure, jitter, now)
    case 'unreachable':
    case 'ambiguous':
      return onFault(gate, failure, jitter, now)
    // The token is refused, not the caller.
    case 'unauthorized':
      return gate
    default:
      return gate.closings === 0 && gate.faults === 0 ? gate : onLetIn(gate)
  }
}

/** Two resources may have deployments of one name. */
function nameOf({ endpoint, deployment }: Deployment): string {
  return `${deployment} at ${new URL(endpoint).host}`
}
