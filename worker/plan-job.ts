import { type Failure, isMissingForGood } from '../shared/job/failures.ts'
import { type Job, outputTokenCap } from '../shared/job/job.ts'
import type { EndError } from '../shared/job/record.ts'
import { quote } from '../shared/quote.ts'
import type { Deployment } from '../shared/settings.ts'
import type { Ending } from '../shared/store/job-store.ts'
import type { Watch } from './batch-controls.ts'
import { chooseDeployment } from './model/choose-deployment.ts'
import type { DeploymentGates } from './model/deployment-gates.ts'

export interface Planning {
  readonly deployments: readonly Deployment[]
  readonly gates: DeploymentGates
  readonly maxOutputTokens: number
  /**
   * How old a message becomes before a model that no deployment serves ends its job, in milliseconds: while a rollout runs,
   * another revision may serve it. 0: it ends the job at once.
   */
  readonly rolloutMs: number
  /** Epoch milliseconds. */
  readonly now: () => number
}

export type Plan =
  | { readonly kind: 'ask'; readonly deployment: Deployment }
  /** It cannot be run here, and may be elsewhere: its message is to be redelivered. */
  | { readonly kind: 'defer'; readonly failure: Failure }
  | EndPlan

/** It needs no model to say how this job ends. */
export interface EndPlan {
  readonly kind: 'end'
  readonly ending: Exclude<Ending, { status: 'succeeded' }>
}

const NOT_SERVED_YET = {
  kind: 'busy',
  message: 'no deployment of this revision serves the model it names; a rollout may bring one that does',
} as const

/** Decides what a job needs before anything is spent on it. `publishedAt`: of its message, in epoch milliseconds. */
export function planJob(planning: Planning, job: Job, publishedAt: number): Plan {
  const { deployments, gates, maxOutputTokens, rolloutMs, now } = planning
  if (job.deadline !== undefined && now() > job.deadline) {
    const error: EndError = { kind: 'expired', message: 'its deadline passed before it was started' }
    return { kind: 'end', ending: { status: 'expired', error } }
  }
  const deployment = chooseDeployment(deployments, job.model, gates.missing)
  if (deployment === undefined) {
    const served = [...new Set(deployments.map(({ model }) => model))].join(', ')
    const hint = `Served here: ${served}. Add a deployment, or change the job.`
    return now() - publishedAt < rolloutMs
      ? { kind: 'defer', failure: { ...NOT_SERVED_YET, hint } }
      : invalid('no deployment serves the model it names', hint)
  }
  const tokens = outputTokenCap(job.body) ?? 0
  if (tokens > maxOutputTokens) {
    return invalid(`it asks for up to ${tokens} output tokens; MAX_OUTPUT_TOKENS is ${maxOutputTokens}`)
  }
  const missing = gates.missing(deployment)
  return missing && isMissingForGood(missing) ? missingForGood(missing) : { kind: 'ask', deployment }
}

/** A probe has just found it missing: the jobs that come until the next one need not be asked to know that. */
function missingForGood({ code, message, hint }: Failure): EndPlan {
  const error: EndError = { kind: 'no_deployment', code, message, hint }
  return { kind: 'end', ending: { status: 'dead_lettered', error } }
}

export const CANCELLED = {
  kind: 'end',
  ending: { status: 'cancelled', error: { kind: 'cancelled', message: 'its batch was cancelled' } },
} as const

/** The plan, unless what people decided of the job's batch has ended it meanwhile. */
export async function heedBatch<P extends Plan>(watch: Watch, { batch }: Job, plan: P): Promise<P | EndPlan> {
  if (watch.cancelled.aborted) return CANCELLED
  if (plan.kind !== 'ask') return plan
  const reached = await watch.limitReached()
  if (reached === undefined) return plan
  const error: EndError = {
    kind: 'budget',
    code: 'batch_token_limit',
    message: `its batch has taken ${reached.spent} tokens; its limit is ${reached.limit}`,
    hint: `Raise it and replay: promptbridge dead-letters replay --batch ${quote(batch)} --reason budget --token-limit N`,
  }
  return { kind: 'end', ending: { status: 'dead_lettered', error } }
}

function invalid(message: string, hint?: string): EndPlan {
  const error: EndError = { kind: 'invalid', message, ...(hint === undefined ? {} : { hint }) }
  return { kind: 'end', ending: { status: 'dead_lettered', error } }
}
