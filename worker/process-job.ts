import pRetry from 'p-retry'
import type { ModelReply } from '../shared/azure-openai/model-provider.ts'
import { leaseFor } from '../shared/job/claim.ts'
import { afterFailure, type Consequence, type Failure, type RetryPolicy } from '../shared/job/failures.ts'
import { type AttemptOutcome, countedAttempts, type RecordError, type Usage } from '../shared/job/record.ts'
import type { Deployment } from '../shared/settings.ts'
import { type Ending, type Held, isUnavailable, type Release } from '../shared/store/job-store.ts'
import { type Admission, admit } from './admit.ts'
import { type Asking, type AskLimits, ask } from './ask.ts'
import type { BatchControls, Watch } from './batch-controls.ts'
import type { DeliveredJob } from './delivered-job.ts'
import type { Facts, Outcome } from './outcome.ts'
import { CANCELLED, heedBatch, type Plan, type Planning, planJob } from './plan-job.ts'
import { deadLetterOnly, followUp, release, type Settling, settle } from './settle-job.ts'
import { storeFailure } from './store-failure.ts'

export interface JobProcessing extends Planning, Admission, Asking, Settling {
  readonly controls: BatchControls
  readonly retry: RetryPolicy
  readonly maxJobAgeMs: number
  readonly modelTimeoutMs: number
  /** Makes the nonce that names one claim. */
  readonly newOwner: () => string
}

interface SpendLimits extends AskLimits {
  /** Hears what an answer took. */
  readonly spend: (usage: Usage) => void
}

const TOO_LATE: Failure = { kind: 'busy', message: 'the push was over before the job could be started' }

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
  const plan = await heedBatch(watch, job, planJob(processing, job, delivered.publishedAt))
  if (plan.kind === 'defer') return { done: false, failure: plan.failure, facts }
  if (plan.kind === 'end') return claimAndRunOrPutOff(processing, delivered, plan, watch, facts)
  const admitted = await admit(processing, plan.deployment, delivered)
  if (!admitted.ok) return { done: false, failure: admitted.failure, facts }
  try {
    // It may have waited for a minute.
    const still = await heedBatch(watch, job, plan)
    return await claimAndRunOrPutOff(processing, delivered, still, watch, facts)
  } finally {
    admitted.leave()
  }
}

/** What the store cannot do now is left to the next delivery. */
async function claimAndRunOrPutOff(...run: Parameters<typeof claimAndRun>): Promise<Outcome> {
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
  const budgetMs = Math.min(modelTimeoutMs, deadline - startedAt)
  if (budgetMs <= 0) return { done: false, failure: TOO_LATE, facts }
  const request = { job, owner: newOwner(), leaseMs: leaseFor(budgetMs), policy: retry, maxAgeMs, now: startedAt }
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
      const limits = { endsAt: startedAt + budgetMs, waitUntil, cancelled, spend }
      return askAndSettle(processing, delivered, claim.held, plan.deployment, limits, attempt)
    }
    case 'settled':
      return followUp(processing, delivered, claim.record, facts, 'repeated')
    case 'superseded':
      return { done: true, as: 'superseded', facts }
    case 'busy':
      return { done: false, failure: { kind: 'busy', message: 'another delivery holds this job' }, facts }
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
  deployment: Deployment,
  limits: SpendLimits,
  facts: Facts,
): Promise<Outcome> {
  const { job } = delivered
  const clientRequestId = `${job.key}.${job.run}.${attemptNumber(held)}`
  const reply = await ask(processing, { job, deployment, clientRequestId }, limits)
  const told = { ...facts, ...tellReply(reply, deployment) }
  if (reply.ok) {
    try {
      return await settle(processing, delivered, held, succeededWith(reply, deployment), told)
    } finally {
      // Not before: of what is not stored yet, a sweep's figure holds nothing.
      limits.spend(reply.usage)
    }
  }

  const { failure } = reply
  const report = reportOf(failure, deployment)
  const outcome: AttemptOutcome = failure.kind === 'ambiguous' ? 'unknown' : failure.kind
  const consequence = afterFailure(failure.kind, countedAttempts(held.record), processing.retry)
  const attempt = consequence.counts ? { attempt: { outcome, report } } : {}
  if (limits.cancelled.aborted && mayBeCancelled(failure, consequence)) {
    return settle(processing, delivered, held, { ...CANCELLED.ending, ...attempt }, told)
  }
  if (consequence.next === 'end') {
    const ending: Ending = { status: 'dead_lettered', error: recordError(failure, consequence.reason), ...attempt }
    return settle(processing, delivered, held, ending, told)
  }
  const how: Release = consequence.counts ? { counts: true, outcome, report } : { counts: false, kind: failure.kind }
  await release(processing, delivered, held, how)
  return { done: false, failure, facts: told }
}

/** What Azure refused for good is told as that; of everything else, nobody waits for the next attempt. */
function mayBeCancelled({ kind }: Failure, { next }: Consequence): boolean {
  return kind === 'ambiguous' || next === 'again'
}

/** 1 for the first attempt of the job's present run. */
function attemptNumber({ record }: Held): number {
  return record.attempts.filter(({ run }) => run === record.run).length
}

function succeededWith(reply: Extract<ModelReply, { ok: true }>, { deployment }: Deployment): Ending {
  const { text, usage, finishReason, httpStatus, requestId } = reply
  return { status: 'succeeded', result: text, usage, finishReason, report: { deployment, httpStatus, requestId } }
}

function reportOf({ httpStatus, requestId }: Failure, { deployment }: Deployment) {
  return { deployment, httpStatus, requestId }
}

function recordError({ code, message, hint }: Failure, kind: RecordError['kind']): RecordError {
  // In the order in which a store gives it back, so that the event of a redelivery is the same to the byte.
  return { kind, code, message, hint }
}

function tellReply(reply: ModelReply, { deployment }: Deployment): Facts {
  if (!reply.ok) return { deployment, httpStatus: reply.failure.httpStatus, requestId: reply.failure.requestId }
  const { httpStatus, requestId, usage } = reply
  return { deployment, httpStatus, requestId, ...usage }
}
