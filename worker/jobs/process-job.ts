import pRetry from 'p-retry'
import type { Deployment } from '../../shared/config/deployments.ts'
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
import { storeFailure } from '../delivery/failures.ts'
import type { LogFields, Outcome } from '../delivery/outcome.ts'
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
  /** Adds the tokens of an answer to its limits. */
  readonly spend: (usage: Usage) => void
}

const TOO_LATE: Failure = { kind: 'busy', message: 'the push has less than MODEL_TIMEOUT_SECONDS left' }

/**
 * The share of the model timeout for which a claimed job waits for a token or for a short throttle. The lease grows by it, so
 * the job of an instance that died is taken over later.
 */
const SEND_WITHIN_SHARE = 0.25

/**
 * Processes one delivery of a job: admit → claim → ask → settle → publish.
 *
 * Resolves when the job is settled and its event and dead letter are durable, or with the failure that defers it. Rejects
 * only with an internal error.
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
  const logFields: LogFields = { jobKey: job.key, jobId: job.id, batch: job.batch, run: job.run }
  const planNow = () => applyBatchControls(watch, job, planJob(processing, job, delivered.publishedAt))
  const plan = await planNow()
  if (plan.kind === 'defer') return { done: false, failure: plan.failure, logFields }
  if (plan.kind === 'end') return claimAndRunOrDefer(processing, delivered, plan, watch, logFields)
  const admitted = await admit(processing, plan.deployment, delivered)
  if (!admitted.ok) {
    // Meanwhile, another job may have found that every deployment is missing.
    const now = admitted.failure.kind === 'no_deployment' ? await planNow() : plan
    if (now.kind === 'end') return claimAndRunOrDefer(processing, delivered, now, watch, logFields)
    return { done: false, failure: admitted.failure, logFields }
  }
  try {
    // Admission can take a minute, and the job's deadline may have passed.
    const still = await planNow()
    if (still.kind === 'defer') return { done: false, failure: still.failure, logFields }
    // The job keeps the deployment that it was admitted to.
    const next = still.kind === 'ask' ? plan : still
    return await claimAndRunOrDefer(processing, delivered, next, watch, logFields)
  } finally {
    admitted.leave()
  }
}

/** Defers the job if the store fails. */
async function claimAndRunOrDefer(...run: Parameters<typeof claimAndRun>): Promise<Outcome> {
  try {
    return await claimAndRun(...run)
  } catch (error) {
    const failure = storeFailure(error)
    const [, , , , logFields] = run
    if (failure === undefined) throw error
    return { done: false, failure, logFields }
  }
}

async function claimAndRun(
  processing: JobProcessing,
  delivered: DeliveredJob,
  plan: Exclude<Plan, { kind: 'defer' }>,
  watch: Watch,
  logFields: LogFields,
): Promise<Outcome> {
  const { store, newOwner, now, retry, maxJobAgeMs: maxAgeMs, modelTimeoutMs } = processing
  const { job, deadline } = delivered
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
  const leftMs = countDown(processing, sendBy - startedAt)
  const leaseMs = leaseFor(Math.max(0, sendBy - startedAt) + modelTimeoutMs)
  const request = { job, owner: newOwner(), leaseMs, policy: retry, maxAgeMs, now: startedAt }
  const claim = await twice(() => store.claim(request))
  switch (claim.kind) {
    case 'run': {
      const attempt = { ...logFields, attempt: attemptNumber(claim.held) }
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
      return followUp(processing, delivered, claim.record, logFields, 'repeated')
    case 'superseded':
      return { done: true, as: 'superseded', logFields }
    case 'busy':
      return { done: false, failure: { kind: 'busy', message: 'another delivery holds this job' }, logFields }
    case 'waits': {
      const message = 'its next attempt may not start yet'
      return { done: false, failure: { kind: 'busy', message, retryAfterMs: claim.retryInMs }, logFields }
    }
    case 'conflict':
      return deadLetterOnly(processing, delivered, logFields, 'conflict', 'another payload took this id and run')
    case 'impossible_run':
      return deadLetterOnly(
        processing,
        delivered,
        logFields,
        'invalid',
        'pb-run names a run that no replay can have reached',
      )
  }
}

/** Counts down by both clocks and returns the lower value: one may be set back, the other may stop during a suspend. */
function countDown({ now, elapsed }: Pick<JobProcessing, 'now' | 'elapsed'>, ms: number): () => number {
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
  processing: JobProcessing,
  delivered: DeliveredJob,
  held: Held,
  { deployment, outputCap }: AskPlan,
  limits: SpendLimits,
  logFields: LogFields,
): Promise<Outcome> {
  const { job } = delivered
  const clientRequestId = `${job.key}.${job.run}.${attemptNumber(held)}`
  const reply = await ask(processing, { job, deployment, outputCap, clientRequestId }, limits)
  const answered = { ...logFields, ...replyFields(reply, deployment) }
  if (reply.ok) {
    const used = usedBy(reply, job)
    try {
      return await settle(processing, delivered, held, succeededWith(reply, used, deployment), answered)
    } finally {
      // After the settle, because a sweep counts only stored tokens.
      limits.spend(used.usage)
    }
  }

  const failure = unlessServedElsewhere(processing, job, deployment, reply.failure)
  const report = reportOf(failure, deployment)
  const outcome = outcomeOf(failure)
  const consequence = afterFailure(failure, runSoFar(held.record), processing.retry, processing.random())
  const attempt = consequence.marks === 'none' ? {} : { attempt: { outcome, report } }
  if (limits.cancelled.aborted && mayBeCancelled(failure, consequence)) {
    return settle(processing, delivered, held, { ...CANCELLED.ending, ...attempt }, answered)
  }
  if (consequence.next === 'end') {
    const ending: Ending = { status: 'dead_lettered', error: recordError(failure, consequence.reason), ...attempt }
    return settle(processing, delivered, held, ending, answered)
  }
  const { marks, waitMs } = consequence
  const how: Release = { waitMs, ...releaseAs(marks, failure, report) }
  await release(processing, delivered, held, how)
  return { done: false, failure, logFields: answered }
}

/** Keeps a job from ending over a missing deployment if another deployment of its model may serve it. */
function unlessServedElsewhere(
  { deployments, circuits }: JobProcessing,
  { model }: DeliveredJob['job'],
  deployment: Deployment,
  failure: Failure,
): Failure {
  if (!isMissingForGood(failure) || areOthersMissing(deployments, model, deployment, circuits.missing)) return failure
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
