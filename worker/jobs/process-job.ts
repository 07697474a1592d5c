import type { DeliveredJob } from '../delivery/delivery.ts'
import { storeFailure } from '../delivery/failures.ts'
import type { Outcome } from '../delivery/outcome.ts'
import type { BatchControls } from '../limits/batch-controls.ts'
import type { Observer } from '../observe/observer.ts'
import { type AdmitDependencies, admit } from './admit.ts'
import type { JobContext } from './job-context.ts'
import { applyBatchControls, type PlanDependencies, planJob } from './plan-job.ts'
import { type ClaimedPlan, claimAndRun, type RunDependencies } from './run-job.ts'

/** What each step of a job needs. */
export interface JobDependencies {
  readonly plan: PlanDependencies
  readonly admit: AdmitDependencies
  readonly run: RunDependencies
  readonly controls: BatchControls
  readonly observer: Observer
}

/**
 * Processes one delivery of a job: admit → claim → ask → settle → publish.
 *
 * Resolves when the job is settled and its event and dead letter are durable, or with the failure that defers it. Rejects
 * only with an internal error.
 */
export async function processJob(dependencies: JobDependencies, delivery: DeliveredJob): Promise<Outcome> {
  const { controls, observer } = dependencies
  const { key: jobKey, id: jobId, batch, run } = delivery.job
  const watch = await controls.watch(batch)
  try {
    return await admitAndRun(dependencies, { delivery, watch, observer, logFields: { jobKey, jobId, batch, run } })
  } finally {
    watch.leave()
  }
}

async function admitAndRun(dependencies: JobDependencies, context: JobContext): Promise<Outcome> {
  const { delivery, watch, logFields } = context
  const { job } = delivery
  const planNow = () => applyBatchControls(watch, job, planJob(dependencies.plan, job, delivery.publishedAt))
  const run = (plan: ClaimedPlan) => runOrDefer(dependencies, context, plan)
  const plan = await planNow()
  if (plan.kind === 'defer') return { done: false, failure: plan.failure, logFields }
  if (plan.kind === 'end') return run(plan)
  const admitted = await admit(dependencies.admit, plan.candidates, delivery)
  if (!admitted.ok) {
    // Meanwhile, another job may have found that every deployment is missing.
    const now = admitted.failure.kind === 'no_deployment' ? await planNow() : plan
    if (now.kind === 'end') return run(now)
    return { done: false, failure: admitted.failure, logFields }
  }
  try {
    // A wait for admission can take a minute, and the job's deadline may have passed.
    const still = await planNow()
    if (still.kind === 'defer') return { done: false, failure: still.failure, logFields }
    // The job keeps the deployments that it was planned for.
    return await run(still.kind === 'ask' ? { kind: 'ask', seat: admitted.seat } : still)
  } finally {
    admitted.seat.leave()
  }
}

/** Defers the job if the store fails. */
async function runOrDefer({ run }: JobDependencies, context: JobContext, plan: ClaimedPlan): Promise<Outcome> {
  try {
    return await claimAndRun(run, context, plan)
  } catch (error) {
    const failure = storeFailure(error)
    if (failure === undefined) throw error
    return { done: false, failure, logFields: context.logFields }
  }
}
