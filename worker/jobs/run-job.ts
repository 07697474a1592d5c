import pRetry from 'p-retry'
import type { Deployment } from '../../shared/config/deployments.ts'
import { runSoFar } from '../../shared/job/attempts.ts'
import { leaseFor } from '../../shared/job/claim.ts'
import type { Ending, Release } from '../../shared/job/ending.ts'
import {
  afterFailure,
  type Consequence,
  type Failure,
  isMissingForGood,
  type RetryPolicy,
} from '../../shared/job/failures.ts'
import type { Usage } from '../../shared/job/record.ts'
import type { Clock } from '../../shared/lib/clock.ts'
import { defined } from '../../shared/lib/defined.ts'
import { type Held, isUnavailable, type JobStore } from '../../shared/stores/job-store.ts'
import type { Outcome } from '../delivery/outcome.ts'
import type { DailyBudget } from '../limits/daily-budget.ts'
import { type AskDependencies, type AskLimits, ask } from './ask.ts'
import { areMissing, type Candidates, deploymentsMet, type Seat } from './candidates.ts'
import { outcomeOf, recordError, releaseAs, replyFields, reportOf, succeededWith, usedBy } from './from-reply.ts'
import type { JobContext } from './job-context.ts'
import { CANCELLED, type EndPlan } from './plan-job.ts'
import { deadLetterOnly, followUp, release, type SettleDependencies, settle } from './settle-job.ts'

/** A plan that needs the job's record. */
export type ClaimedPlan = AdmittedPlan | EndPlan

/** The job was admitted to a deployment. */
interface AdmittedPlan {
  readonly kind: 'ask'
  readonly seat: Seat
}

export interface RunDependencies {
  readonly claim: ClaimDependencies
  readonly ask: AskDependencies
  readonly settle: SettleDependencies
  readonly daily: DailyBudget
  /** 0 to 1. */
  readonly random: () => number
}

interface ClaimDependencies {
  readonly store: Pick<JobStore, 'claim'>
  readonly retry: RetryPolicy
  readonly maxJobAgeMs: number
  readonly modelTimeoutMs: number
  /** Makes the nonce that names one claim. */
  readonly newOwner: () => string
  readonly now: Clock
  /** Milliseconds by a clock that is never set. */
  readonly elapsed: () => number
}

interface SpendLimits extends AskLimits {
  /** Adds the tokens of an answer to its limits. */
  readonly spend: (usage: Usage) => void
}

const TOO_LATE: Failure = { kind: 'busy', message: 'the push has less than MODEL_TIMEOUT_SECONDS left' }

/**
 * The share of the model timeout for which a claimed job waits for a token or for a short throttle. The lease grows by it, so
 * the job of an instance that died is taken over later.
 */
const SEND_WITHIN_SHARE = 0.25

/** Claims a job and carries out its plan. Rejects with StoreError or QueueError. */
export async function claimAndRun(
  dependencies: RunDependencies,
  context: JobContext,
  plan: ClaimedPlan,
): Promise<Outcome> {
  const { store, newOwner, now, retry: policy, maxJobAgeMs: maxAgeMs, modelTimeoutMs } = dependencies.claim
  const { delivery, watch, logFields } = context
  const { job, deadline, waitUntil } = delivery
  const startedAt = now()
  // The push would end before a later send times out, and the abort would count as a fault of the model.
  const neededMs = plan.kind === 'ask' ? modelTimeoutMs : 1
  if (deadline - startedAt < neededMs) return { done: false, failure: TOO_LATE, logFields }
  const sendBy = Math.min(
    startedAt + SEND_WITHIN_SHARE * modelTimeoutMs,
    deadline - modelTimeoutMs,
    // The job may still start at the very millisecond of its deadline.
    (job.deadline ?? Infinity) + 1,
  )
  const leftMs = countDown(dependencies.claim, sendBy - startedAt)
  const leaseMs = leaseFor(Math.max(0, sendBy - startedAt) + modelTimeoutMs)
  const request = { job, owner: newOwner(), leaseMs, policy, maxAgeMs, now: startedAt }
  const seat = plan.kind === 'ask' ? plan.seat : undefined
  const claimThere = () => {
    const deployment = seat?.candidate().deployment.name
    return twice(() => store.claim({ ...request, ...defined({ deployment }) }))
  }
  let claim = await claimThere()
  // The job may ask another deployment while it waits for this one.
  if (claim.kind === 'waits' && claim.waitsFor && seat?.avoid(claim.waitsFor)) claim = await claimThere()
  switch (claim.kind) {
    case 'run': {
      const attempt = { ...context, logFields: { ...logFields, attempt: attemptNumber(claim.held) } }
      if (plan.kind === 'end') return settle(dependencies.settle, attempt, claim.held, plan.ending)
      plan.seat.avoid(claim.held.record.waitsFor ?? [])
      const spend = (usage: Usage) => {
        watch.spend(usage)
        dependencies.daily.spend(usage)
      }
      const limits = { leftMs, modelTimeoutMs, waitUntil, cancelled: watch.cancelled, spend }
      return askAndSettle(dependencies, attempt, claim.held, plan, limits)
    }
    case 'settled':
      return followUp(dependencies.settle, context, claim.record, 'repeated')
    case 'superseded':
      return { done: true, as: 'superseded', logFields }
    case 'busy':
      return { done: false, failure: { kind: 'busy', message: 'another delivery holds this job' }, logFields }
    case 'waits': {
      const message = 'its next attempt may not start yet'
      return { done: false, failure: { kind: 'busy', message, retryAfterMs: claim.retryInMs }, logFields }
    }
    case 'conflict':
      return deadLetterOnly(dependencies.settle, context, 'conflict', 'another payload took this id and run')
    case 'impossible_run': {
      const problem = 'pb-run names a run that no replay can have reached'
      return deadLetterOnly(dependencies.settle, context, 'invalid', problem)
    }
  }
}

/** Counts down by both clocks and returns the lower value: one may be set back, the other may stop during a suspend. */
function countDown({ now, elapsed }: Pick<ClaimDependencies, 'now' | 'elapsed'>, ms: number): () => number {
  const [endsAt, endsAtElapsed] = [now() + ms, elapsed() + ms]
  return () => Math.min(endsAt - now(), endsAtElapsed - elapsed())
}

/**
 * Repeats a claim once if the store was unavailable: its reply may be lost, and the same owner continues its own claim.
 * Without that, the job would lose an attempt that was never sent.
 */
function twice<T>(claim: () => Promise<T>): Promise<T> {
  return pRetry(claim, { retries: 1, minTimeout: 100, shouldRetry: ({ error }) => isUnavailable(error) })
}

async function askAndSettle(
  dependencies: RunDependencies,
  context: JobContext,
  held: Held,
  { seat }: AdmittedPlan,
  limits: SpendLimits,
): Promise<Outcome> {
  const { job } = context.delivery
  const clientRequestId = `${job.key}.${job.run}.${attemptNumber(held)}`
  const { reply, deployment } = await ask(dependencies.ask, { job, seat, clientRequestId }, limits)
  context.watch.replied(job.run, reply.ok ? undefined : reply.failure)
  const answered = { ...context, logFields: { ...context.logFields, ...replyFields(reply, deployment) } }
  if (reply.ok) {
    const used = usedBy(reply, job)
    try {
      return await settle(dependencies.settle, answered, held, succeededWith(reply, used, deployment))
    } finally {
      // After the settle, because a sweep counts only stored tokens.
      limits.spend(used.usage)
    }
  }

  const failure = unlessServedElsewhere(dependencies.ask, seat.candidates, deployment, reply.failure)
  const report = reportOf(failure, deployment)
  const outcome = outcomeOf(failure)
  const { retry } = dependencies.claim
  const consequence = afterFailure(failure, runSoFar(held.record), retry, dependencies.random())
  const attempt = consequence.marks === 'none' ? {} : { attempt: { outcome, report } }
  if (limits.cancelled.aborted && mayBeCancelled(failure, consequence)) {
    return settle(dependencies.settle, answered, held, { ...CANCELLED.ending, ...attempt })
  }
  if (consequence.next === 'end') {
    const ending: Ending = { status: 'dead_lettered', error: recordError(failure, consequence.reason), ...attempt }
    return settle(dependencies.settle, answered, held, ending)
  }
  const { marks, waitMs } = consequence
  const asked = deploymentsMet(seat.candidates, deployment, failure).map(({ name }) => name)
  const waitsFor = deploymentsWaitedFor(seat, [...(held.record.waitsFor ?? []), ...asked])
  const mayBeBilled = marks !== 'none'
  const isForAll = waitsFor === undefined || (mayBeBilled && retry.onUnknown === 'dead-letter')
  const how: Release = { waitMs, ...(isForAll ? {} : { waitsFor }), ...releaseAs(marks, failure, report) }
  await release(dependencies.settle, answered, held, how)
  return { done: false, failure, logFields: answered.logFields }
}

/** The deployments that a job waits for after it asked these. Undefined if it has no other one: then it waits before all. */
function deploymentsWaitedFor({ candidates }: Seat, asked: readonly string[]): readonly string[] | undefined {
  const names = [...new Set(asked)]
  return candidates.some(({ deployment }) => !names.includes(deployment.name)) ? names : undefined
}

/** Keeps a job from ending over a missing deployment if another deployment may serve it. */
function unlessServedElsewhere(
  { circuits }: AskDependencies,
  candidates: Candidates,
  asked: Deployment,
  failure: Failure,
): Failure {
  const others = candidates.filter(({ deployment }) => deployment.name !== asked.name)
  if (!isMissingForGood(failure) || areMissing(others, circuits.missing)) return failure
  return { ...failure, missingForMs: 0 }
}

/** Whether a cancelled job ends as `cancelled`. A final refusal by the provider stays its result. */
function mayBeCancelled({ kind }: Failure, { next }: Consequence): boolean {
  return kind === 'ambiguous' || next === 'again'
}

/** Returns 1 for the first attempt of the current run. No two sends of a run that may have been billed share a number. */
function attemptNumber({ record }: Held): number {
  return record.attempts.findLast(({ owner }) => owner === record.owner)?.n ?? 1
}
