import { setTimeout as delay } from 'node:timers/promises'
import type { AccessTokenSource } from '../shared/identity/access-token-source.ts'
import { TokenError } from '../shared/identity/token-error.ts'
import type { Failure } from '../shared/job/failures.ts'
import type { Deployment } from '../shared/settings.ts'
import type { DeliveredJob } from './delivered-job.ts'
import type { Drain } from './drain.ts'
import type { DeploymentGates } from './model/deployment-gates.ts'
import { tokenFailure } from './token-failure.ts'

export interface Admission {
  /** Epoch milliseconds. */
  readonly now: () => number
  readonly drain: Drain
  readonly gates: DeploymentGates
  readonly tokens: AccessTokenSource
}

const DRAINING: Failure = { kind: 'draining', message: 'this instance is about to end' }

/** A job that cannot start within this time is given back: held ones were measured to miss their deadlines. */
const MAX_HOLD_MS = 60_000
/** What somebody has to mend is not waited for so long. */
const MAX_DENIED_HOLD_MS = 10_000

/**
 * Waits for quota and for a token before any store is touched, so that an outage costs no write and burns no attempt.
 *
 * Resolves with the failure to answer with, or undefined when the job may be claimed.
 */
export async function admit(
  { drain, gates, tokens, now }: Admission,
  deployment: Deployment,
  { deadline, waitUntil }: Pick<DeliveredJob, 'deadline' | 'waitUntil'>,
): Promise<Failure | undefined> {
  if (drain.begun.aborted) return DRAINING
  const arrivedAt = now()
  // Half of the push's time is kept for the ask itself.
  const holdMs = Math.min(MAX_HOLD_MS, (deadline - arrivedAt) / 2)
  const closed = gates.closed(deployment)
  if (closed !== undefined && closed.forMs > longestHold(closed.failure, holdMs)) return closed.failure
  try {
    if (closed !== undefined) await delay(closed.forMs, undefined, { signal: drain.begun })
    await tokens.get(drain.begun, { until: arrivedAt + holdMs, waitUntil })
    return undefined
  } catch (error) {
    if (drain.begun.aborted) return DRAINING
    if (error instanceof TokenError) return tokenFailure(error)
    throw error
  }
}

function longestHold({ kind }: Failure, holdMs: number): number {
  return kind === 'forbidden' ? Math.min(MAX_DENIED_HOLD_MS, holdMs) : holdMs
}
