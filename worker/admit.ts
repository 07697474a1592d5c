import { setTimeout as delay } from 'node:timers/promises'
import type { AccessTokenSource } from '../shared/identity/access-token-source.ts'
import { TokenError } from '../shared/identity/token-error.ts'
import type { Failure } from '../shared/job/failures.ts'
import type { Drain } from './drain.ts'
import type { ThrottleGates } from './model/throttle-gates.ts'
import { tokenFailure } from './token-failure.ts'

export interface Admission {
  /** Epoch milliseconds. */
  readonly now: () => number
  readonly drain: Drain
  readonly gates: ThrottleGates
  readonly tokens: AccessTokenSource
}

const DRAINING: Failure = { kind: 'draining', message: 'this instance is about to end' }

/** A job that cannot start within this time is given back: held ones were measured to miss their deadlines. */
const MAX_HOLD_MS = 60_000

/**
 * Waits for quota and for a token before any store is touched, so that an outage costs no write and burns no attempt.
 *
 * Resolves with the failure to answer with, or undefined when the job may be claimed.
 */
export async function admit(
  { drain, gates, tokens, now }: Admission,
  deployment: string,
  deadline: number,
): Promise<Failure | undefined> {
  if (drain.begun.aborted) return DRAINING
  const holdMs = gates.opensInMs(deployment)
  // Half of the push's time is kept for the ask itself.
  if (holdMs > Math.min(MAX_HOLD_MS, (deadline - now()) / 2)) {
    return { kind: 'throttled', message: "the deployment's quota is used up for now", retryAfterMs: holdMs }
  }
  try {
    if (holdMs > 0) await delay(holdMs, undefined, { signal: drain.begun })
    await tokens.get(drain.begun)
    return undefined
  } catch (error) {
    if (error instanceof TokenError) return tokenFailure(error)
    if (drain.begun.aborted) return DRAINING
    throw error
  }
}
