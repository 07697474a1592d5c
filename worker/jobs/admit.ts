import { setTimeout as delay } from 'node:timers/promises'
import type { Deployment } from '../../shared/config/deployments.ts'
import type { Failure } from '../../shared/job/failures.ts'
import type { Clock } from '../../shared/lib/clock.ts'
import { settlesWithin } from '../../shared/lib/settles-within.ts'
import { isSetUpFault } from '../../shared/models/circuit.ts'
import type { Circuits } from '../../shared/models/circuits.ts'
import { type ModelProvider, NotReadyError } from '../../shared/models/provider.ts'
import type { DeliveredJob } from '../delivery/delivery.ts'
import type { Drain } from '../delivery/drain.ts'
import type { DailyBudget } from '../limits/daily-budget.ts'

export interface AdmitDependencies {
  readonly now: Clock
  readonly drain: Drain
  readonly circuits: Circuits
  readonly provider: ModelProvider
  readonly daily: DailyBudget
  readonly modelTimeoutMs: number
}

const DRAINING: Failure = { kind: 'draining', message: 'this instance is about to end' }

/** A job that cannot start within this time is deferred: held jobs were measured to miss their deadlines. */
const MAX_HOLD_MS = 60_000
/** The shorter limit for a set-up fault, which a person has to fix, and for a probe by another job. */
const MAX_BRIEF_HOLD_MS = 10_000

export type Admitted =
  /** `leave` is called when the job has ended, whatever its result. */
  { readonly ok: true; readonly leave: () => void } | { readonly ok: false; readonly failure: Failure }

/**
 * Waits for the deployment and for a token before any record is touched. So neither an outage nor a spent daily budget costs
 * a write or an attempt.
 */
export async function admit(
  dependencies: AdmitDependencies,
  deployment: Deployment,
  { deadline, waitUntil }: Pick<DeliveredJob, 'deadline' | 'waitUntil'>,
): Promise<Admitted> {
  const { drain, provider, daily, now, modelTimeoutMs } = dependencies
  if (drain.begun.aborted) return refuse(DRAINING)
  const arrivedAt = now()
  const overspent = await daily.limitReached()
  if (overspent !== undefined) return refuse(overspent)
  // A job that is held for longer has too little time left to ask the model.
  const until = Math.min(arrivedAt + MAX_HOLD_MS, deadline - modelTimeoutMs)
  try {
    await provider.ready(deployment, drain.begun, { until, waitUntil })
    return await enterCircuit(dependencies, deployment, until)
  } catch (error) {
    if (drain.begun.aborted) return refuse(DRAINING)
    if (error instanceof NotReadyError) return refuse(error.failure)
    throw error
  }
}

/** Runs last, so that a job that probes a deployment waits for nothing else. */
async function enterCircuit(
  { drain, circuits, now }: AdmitDependencies,
  deployment: Deployment,
  until: number,
): Promise<Admitted> {
  for (;;) {
    const entry = circuits.enter(deployment)
    if (entry.isAllowed) return { ok: true, leave: entry.leave }
    const { waitFor, failure } = entry
    const leftMs = until - now()
    const brieflyMs = Math.min(MAX_BRIEF_HOLD_MS, leftMs)
    if (typeof waitFor === 'number') {
      if (waitFor > (isSetUpFault(failure.kind) ? brieflyMs : leftMs)) return refuse(failure)
      await delay(waitFor, undefined, { signal: drain.begun })
    } else if (!(await settlesWithin(waitFor, brieflyMs, drain.begun))) {
      return refuse(drain.begun.aborted ? DRAINING : failure)
    }
  }
}

function refuse(failure: Failure): Admitted {
  return { ok: false, failure }
}
