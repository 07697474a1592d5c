import pRetry from 'p-retry'
import type { Deployment } from '../../shared/config/schema.ts'
import { leaseFor } from '../../shared/job/claim.ts'
import type { Ending, Release } from '../../shared/job/ending.ts'
import {
  afterFailure,
  type Consequence,
  type Failure,
  isMissingForGood,
  type RetryPolicy,
} from '../../shared/job/failures.ts'
import { runSoFar, type Usage } from '../../shared/job/record.ts'
import { type Held, isUnavailable } from '../../shared/stores/job-store.ts'
import type { DeliveredJob } from '../delivery/delivered-job.ts'
import type { Facts, Outcome } from '../delivery/outcome.ts'
import { storeFailure } from '../delivery/store-failure.ts'
import type { BatchControls, Watch } from '../limits/batch-controls.ts'
import { type Admission, admit } from './admit.ts'
import { type Asking, type AskLimits, ask } from './ask.ts'
import { areOthersMissing } from './choose-deployment.ts'
import { outcomeOf, recordError, releaseAs, replyFields, reportOf, succeededWith, usedBy } from './from-reply.ts'
import { type AskPlan, applyBatchControls, CANCELLED, type Plan, type Planning, planJob } from './plan-job.ts'
import { deadLetterOnly, followUp, release, type Settling, settle } from './settle-job.ts'

export interface JobProcessing extends Planning, Admission, Asking, Settling {
  readonly controls: BatchControls
  readonly retry: RetryPolicy
  readonly maxJobAgeMs: number
  readonly modelTimeoutMs: number
  /** Makes the nonce that names one claim. */
  readonly newOwner: () => string
  /** 0 to 1. */
  readonly random: () => number
  /** Milliseconds by a clock that is never set. */
  readonly elapsed: () => number
}

interface SpendLimits extends AskLimits {
  /** Hears what an answer took. */
  readonly spend: (usage: Usage) => void
}

const TOO_LATE: Failure = { kind: 'busy', message: 'the push has less than MODEL_TIMEOUT_SECONDS left' }

/**
 * The share of the model's time for which a job that holds its record waits for a token, a refused token's successor or a
 * short throttle: the lease grows with it, and a job whose instance died is taken over that much later.
 */
const SEND_WITHIN_SHARE = 0.25

/**
 * Takes one delivery of a job through admit → claim → ask → settle → publish.
 *
 * Resolves when the job is settled and what follows is durable, or with the failure for which it must come again.
 * Rejects only for a fault of our own.
 */
export async function processJob(processing: JobProcessing, delivered: DeliveredJob): Promise<Outcome> {
  const watch = await processing.controls.watch(delivered.job.batch)
  try {
    return await admitAndRun(processing, delivered, watch)
  } finally {
    watch.leave()
  }
}

async function admitAndRun(processing: JobProcessing, delivered: DeliveredJob, watch: Watch): Promise<Outcome> {
  const { job } = delivered
  const facts: Facts = { jobKey: job.key, jobId: job.id, batch: job.batch, run: job.run }
  const planNow = () => applyBatchControls(watch, job, planJob(processing, job, delivered.publishedAt))
  const plan = await planNow()
  if (plan.kind === 'defer') return { done: false, failure: plan.failure, facts }
  if (plan.kind === 'end') return claimAndRunOrDefer(processing, delivered, plan, watch, facts)
  const admitted = await admit(processing, plan.deployment, delivered)
  if (!admitted.ok) {
    // Another job may have found out meanwhile that no deployment is left to ask.
    const now = admitted.failure.kind === 'no_deployment' ? await planNow() : plan
    if (now.kind === 'end') return claimAndRunOrDefer(processing, delivered, now, watch, facts)
    return { done: false, failure: admitted.failure, facts }
  }
  try {
    // It may have waited for a minute, in which its deadline passed.
    const still = await planNow()
    if (still.kind === 'defer') return { done: false, failure: still.failure, facts }
    // The deployment is the one that it was admitted to.
    const next = still.kind === 'ask' ? plan : still
    return await claimAndRunOrDefer(processing, delivered, next, watch, facts)
  } finally {
    admitted.leave()
  }
}

/** What the store cannot do now is left to the next delivery. */
async function claimAndRunOrDefer(...run: Parameters<typeof claimAndRun>): Promise<Outcome> {
  try {
    return await claimAndRun(...run)
  } catch (error) {
    const failure = storeFailure(error)
    const [, , , , facts] = run
    if (failure === undefined) throw error
    return { done: false, failure, facts }
  }
}

async function claimAndRun(
  processing: JobProcessing,
  delivered: DeliveredJob,
  plan: Exclude<Plan, { kind: 'defer' }>,
  watch: Watch,
  facts: Facts,
): Promise<Outcome> {
  const { store, newOwner, now, retry, maxJobAgeMs: maxAgeMs, modelTimeoutMs } = processing
  const { job, deadline } = delivered
  const startedAt = now()
  // A send that has less than the model's whole time would end by the push's time, and be taken for the model's fault.
  const neededMs = plan.kind === 'ask' ? modelTimeoutMs : 1
  if (deadline - startedAt < neededMs) return { done: false, failure: TOO_LATE, facts }
  const sendBy = Math.min(
    startedAt + SEND_WITHIN_SHARE * modelTimeoutMs,
    deadline - modelTimeoutMs,
    // The job may still start at the very millisecond of its deadline.
    (job.deadline ?? Infinity) + 1,
  )
  const leftMs = countDown(processing, sendBy - startedAt)
  const leaseMs = leaseFor(Math.max(0, sendBy - startedAt) + modelTimeoutMs)
  const request = { job, owner: newOwner(), leaseMs, policy: retry, maxAgeMs, now: startedAt }
  const claim = await twice(() => store.claim(request))
  switch (claim.kind) {
    case 'run': {
      const attempt = { ...facts, attempt: attemptNumber(claim.held) }
      if (plan.kind === 'end') return settle(processing, delivered, claim.held, plan.ending, attempt)
      const { waitUntil } = delivered
      const { cancelled } = watch
      const spend = (usage: Usage) => {
        watch.spend(usage)
        processing.daily.spend(usage)
      }
      const limits = { leftMs, modelTimeoutMs, waitUntil, cancelled, spend }
      return askAndSettle(processing, delivered, claim.held, plan, limits, attempt)
    }
    case 'settled':
      return followUp(processing, delivered, claim.record, facts, 'repeated')
    case 'superseded':
      return { done: true, as: 'superseded', facts }
    case 'busy':
      return { done: false, failure: { kind: 'busy', message: 'another delivery holds this job' }, facts }
    case 'waits': {
      const message = 'its next attempt may not start yet'
      return { done: false, failure: { kind: 'busy', message, retryAfterMs: claim.retryInMs }, facts }
    }
    case 'conflict':
      return deadLetterOnly(processing, delivered, facts, 'conflict', 'another payload took this id and run')
    case 'impossible_run':
      return deadLetterOnly(
        processing,
        delivered,
        facts,
        'invalid',
        'pb-run names a run that no replay can have reached',
      )
  }
}

/**
 * Counts down by whichever clock says that less is left: the wall clock may be set back, and the other one may stand still
 * while the machine is suspended.
 */
function countDown({ now, elapsed }: Pick<JobProcessing, 'now' | 'elapsed'>, ms: number): () => number {
  const [endsAt, endsAtElapsed] = [now() + ms, elapsed() + ms]
  return () => Math.min(endsAt - now(), endsAtElapsed - elapsed())
}

/**
 * A claim whose reply was lost stands all the same, and would cost the job an attempt that was never sent. Repeated by
 * the same owner, it goes on.
 */
function twice<T>(claim: () => Promise<T>): Promise<T> {
  return pRetry(claim, { retries: 1, minTimeout: 100, shouldRetry: ({ error }) => isUnavailable(error) })
}

async function askAndSettle(
  processing: JobProcessing,
  delivered: DeliveredJob,
  held: Held,
  { deployment, outputCap }: AskPlan,
  limits: SpendLimits,
  facts: Facts,
): Promise<Outcome> {
  const { job } = delivered
  const clientRequestId = `${job.key}.${job.run}.${attemptNumber(held)}`
  const reply = await ask(processing, { job, deployment, outputCap, clientRequestId }, limits)
  const told = { ...facts, ...replyFields(reply, deployment) }
  if (reply.ok) {
    const used = usedBy(reply, job)
    try {
      return await settle(processing, delivered, held, succeededWith(reply, used, deployment), told)
    } finally {
      // Not before: of what is not stored yet, a sweep's figure holds nothing.
      limits.spend(used.usage)
    }
  }

  const failure = unlessServedElsewhere(processing, job, deployment, reply.failure)
  const report = reportOf(failure, deployment)
  const outcome = outcomeOf(failure)
  const consequence = afterFailure(failure, runSoFar(held.record), processing.retry, processing.random())
  const attempt = consequence.marks === 'none' ? {} : { attempt: { outcome, report } }
  if (limits.cancelled.aborted && mayBeCancelled(failure, consequence)) {
    return settle(processing, delivered, held, { ...CANCELLED.ending, ...attempt }, told)
  }
  if (consequence.next === 'end') {
    const ending: Ending = { status: 'dead_lettered', error: recordError(failure, consequence.reason), ...attempt }
    return settle(processing, delivered, held, ending, told)
  }
  const { marks, waitMs } = consequence
  const how: Release = { waitMs, ...releaseAs(marks, failure, report) }
  await release(processing, delivered, held, how)
  return { done: false, failure, facts: told }
}

/** While another deployment of its model may serve it, a job does not end because this one is missing. */
function unlessServedElsewhere(
  { deployments, circuits }: JobProcessing,
  { model }: DeliveredJob['job'],
  deployment: Deployment,
  failure: Failure,
): Failure {
  if (!isMissingForGood(failure) || areOthersMissing(deployments, model, deployment, circuits.missing)) return failure
  return { ...failure, missingForMs: 0 }
}

/** What Azure refused for good is told as that; of everything else, nobody waits for the next attempt. */
function mayBeCancelled({ kind }: Failure, { next }: Consequence): boolean {
  return kind === 'ambiguous' || next === 'again'
}

/** 1 for the first attempt of the job's present run; no two sends of a run that may have been billed share one. */
function attemptNumber({ record }: Held): number {
  return record.attempts.findLast(({ owner }) => owner === record.owner)?.n ?? 1
}
