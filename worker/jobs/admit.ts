import type { Failure } from '../../shared/job/failures.ts'
import type { Clock } from '../../shared/lib/clock.ts'
import { settlesWithin } from '../../shared/lib/settles-within.ts'
import { isSetUpFault } from '../../shared/models/circuit.ts'
import type { Circuits } from '../../shared/models/circuits.ts'
import { type ModelProvider, NotReadyError } from '../../shared/models/provider.ts'
import type { DeliveredJob } from '../delivery/delivery.ts'
import type { Drain } from '../delivery/drain.ts'
import type { DailyBudget } from '../limits/daily-budget.ts'
import type { Pauses } from '../limits/pauses.ts'
import { type Candidates, type Enter, enterFirst, type Refused, type Seat, takeSeat } from './candidates.ts'

export interface AdmitDependencies {
  readonly now: Clock
  readonly drain: Drain
  readonly circuits: Circuits
  readonly provider: ModelProvider
  readonly daily: DailyBudget
  readonly pauses: Pauses
  readonly modelTimeoutMs: number
}

const PAUSED: Failure = {
  kind: 'busy',
  code: 'paused',
  message: 'every deployment that may serve it is paused',
  hint: 'To send requests again: promptbridge resume --deployment NAME',
}
const DRAINING: Failure = { kind: 'draining', message: 'this instance is about to end' }

/** A job that cannot start within this time is deferred: held jobs were measured to miss their deadlines. */
const MAX_HOLD_MS = 60_000
/** The shorter limit for a set-up fault, which a person has to fix, and for a probe by another job. */
const MAX_BRIEF_HOLD_MS = 10_000

export type Admitted = { readonly ok: true; readonly seat: Seat } | { readonly ok: false; readonly failure: Failure }

/**
 * Waits for a token and for a deployment before any record is touched. So neither an outage nor a spent daily budget costs
 * a write or an attempt.
 *
 * The job is admitted to the first candidate that is open. If none is, it waits for the one that opens earliest.
 */
export async function admit(
  dependencies: AdmitDependencies,
  candidates: Candidates,
  { deadline, waitUntil }: Pick<DeliveredJob, 'deadline' | 'waitUntil'>,
): Promise<Admitted> {
  const { drain, provider, daily, pauses, now, modelTimeoutMs } = dependencies
  if (drain.begun.aborted) return refuse(DRAINING)
  const arrivedAt = now()
  const overspent = await daily.limitReached()
  if (overspent !== undefined) return refuse(overspent)
  const paused = await pauses.paused()
  const [candidate, ...more] = candidates.filter(({ deployment }) => !paused.has(deployment.name))
  if (candidate === undefined) return refuse(PAUSED)
  // A job that is held for longer has too little time left to ask the model.
  const until = Math.min(arrivedAt + MAX_HOLD_MS, deadline - modelTimeoutMs)
  try {
    // All candidates take the same token.
    await provider.ready(candidate.deployment, drain.begun, { until, waitUntil })
    return await enterCandidate(dependencies, [candidate, ...more], until)
  } catch (error) {
    if (drain.begun.aborted) return refuse(DRAINING)
    if (error instanceof NotReadyError) return refuse(error.failure)
    throw error
  }
}

/** Runs last, so that a job that probes a deployment waits for nothing else. */
async function enterCandidate(
  { drain, circuits, now }: AdmitDependencies,
  candidates: Candidates,
  until: number,
): Promise<Admitted> {
  const enter: Enter = ({ deployment }) => circuits.enter(deployment)
  for (;;) {
    const entry = enterFirst(candidates, enter)
    if (entry.isAllowed) return { ok: true, seat: takeSeat(candidates, entry, enter) }
    const { opensInMs, waitMs, probes, failure } = holdFor(entry.refused, until - now())
    if (opensInMs === undefined && probes.length === 0) return refuse(failure)
    const hasEnded = await settlesWithin(Promise.race(probes), waitMs, drain.begun)
    if (drain.begun.aborted) return refuse(DRAINING)
    if (!hasEnded && opensInMs === undefined) return refuse(failure)
  }
}

interface Hold {
  /** When the first candidate opens for which the job may wait, in milliseconds. */
  readonly opensInMs: number | undefined
  /** Each ends with the job that probes a candidate, which may open it. */
  readonly probes: readonly Promise<void>[]
  /** How long the job waits for either, in milliseconds. */
  readonly waitMs: number
  /** Why the candidate that opens earliest is not open. */
  readonly failure: Failure
}

/** Decides how long a job waits if no candidate is open. `leftMs`: the longest wait. */
function holdFor(refused: Refused, leftMs: number): Hold {
  const brieflyMs = Math.min(MAX_BRIEF_HOLD_MS, leftMs)
  const timed = refused.flatMap(({ waitFor, failure }) => (typeof waitFor === 'number' ? [{ waitFor, failure }] : []))
  const inOrder = timed.toSorted((one, other) => one.waitFor - other.waitFor)
  const opensInMs = inOrder.find(
    ({ waitFor, failure }) => waitFor <= (isSetUpFault(failure.kind) ? brieflyMs : leftMs),
  )?.waitFor
  const probes = refused.flatMap(({ waitFor }) => (typeof waitFor === 'number' ? [] : [waitFor]))
  const { failure } = inOrder[0] ?? refused[0]
  return { opensInMs, probes, waitMs: opensInMs ?? brieflyMs, failure }
}

function refuse(failure: Failure): Admitted {
  return { ok: false, failure }
}
