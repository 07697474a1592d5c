import type { WaitUntil } from '../../shared/identity/access-token-source.ts'
import { backoffMs } from '../../shared/identity/renewal.ts'
import type { Failure } from '../../shared/job/failures.ts'
import type { Deployment } from '../../shared/settings.ts'

/** Holds a deployment's requests back after it refused one for what the next would be refused for, too. */
export interface DeploymentGates {
  /** Why it may not be asked now, and for how many milliseconds; undefined where it may. */
  closed(deployment: Deployment): ClosedGate | undefined
  /** Its quota is used up, or it denies this caller. */
  close(deployment: Deployment, failure: Failure, waitUntil?: WaitUntil): void
  /** It let a request of this caller in. */
  letIn(deployment: Deployment, waitUntil?: WaitUntil): void
}

interface ClosedGate {
  readonly forMs: number
  readonly failure: Failure
}

/** Hears that a deployment denies this caller, and that it does no more. What it returns never rejects. */
export interface DenialWatch {
  denied(deployment: string, failure: Failure, nextTryAt: number): Promise<void>
  letIn(deployment: string): Promise<void>
}

interface Gate {
  readonly opensAt: number
  readonly failure: Failure
  /** How many denials came in a row. */
  readonly denials: number
}

const DEFAULT_WAIT_MS = 1_000
const MAX_WAIT_MS = 60_000
/** So that the instances that were told the same time do not all come back in the same moment. */
const JITTER = 0.2

/** `now`: epoch milliseconds. `random`: 0 to 1. */
export function createDeploymentGates(now: () => number, random: () => number, watch: DenialWatch): DeploymentGates {
  const gates = new Map<string, Gate>()

  function letIn(deployment: Deployment, waitUntil: WaitUntil | undefined): void {
    const name = nameOf(deployment)
    const gate = gates.get(name)
    if (gate === undefined || gate.denials === 0) return
    gates.set(name, { ...gate, denials: 0 })
    waitUntil?.(watch.letIn(name))
  }

  return {
    letIn,
    closed(deployment) {
      const gate = gates.get(nameOf(deployment))
      const forMs = (gate?.opensAt ?? 0) - now()
      return gate === undefined || forMs <= 0 ? undefined : { forMs, failure: { ...gate.failure, retryAfterMs: forMs } }
    },
    close(deployment, failure, waitUntil) {
      const name = nameOf(deployment)
      // A quota is only spent on callers that are let in.
      if (failure.kind === 'throttled') letIn(deployment, waitUntil)
      const { opensAt = 0, denials = 0 } = gates.get(name) ?? {}
      const isDenial = failure.kind === 'forbidden'
      // Requests that were under way together are denied together: they are one denial.
      if (isDenial && opensAt > now() && denials > 0) return
      const waitMs = isDenial ? backoffMs('configuration', denials, random()) : throttleMs(failure, random())
      const until = Math.max(opensAt, now() + waitMs)
      gates.set(name, { opensAt: until, failure, denials: isDenial ? denials + 1 : denials })
      if (isDenial) waitUntil?.(watch.denied(name, failure, until))
    },
  }
}

function throttleMs({ retryAfterMs = DEFAULT_WAIT_MS }: Failure, jitter: number): number {
  return Math.ceil(Math.min(retryAfterMs, MAX_WAIT_MS) * (1 + JITTER * jitter))
}

/** Two resources may have deployments of one name. */
function nameOf({ endpoint, deployment }: Deployment): string {
  return `${deployment} at ${new URL(endpoint).host}`
}
