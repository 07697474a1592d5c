import type { Deployment } from '../../shared/config/deployments.ts'
import { findForbidden } from '../../shared/job/body-fields.ts'
import type { Ending } from '../../shared/job/ending.ts'
import type { Failure } from '../../shared/job/failures.ts'
import type { Job } from '../../shared/job/job.ts'
import { choicesOf, outputTokenCap } from '../../shared/job/output-cap.ts'
import type { EndError } from '../../shared/job/record.ts'
import type { Clock } from '../../shared/lib/clock.ts'
import { defined } from '../../shared/lib/defined.ts'
import { quote } from '../../shared/lib/quote.ts'
import type { Circuits } from '../../shared/models/circuits.ts'
import type { Watch } from '../limits/batch-controls.ts'
import { REFUSALS_TO_STOP } from '../limits/stopped-batch.ts'
import { areMissing, type Candidate, type Candidates } from './candidates.ts'

export interface PlanDependencies {
  /** In order of priority. */
  readonly deployments: readonly Deployment[]
  readonly circuits: Circuits
  /** The most output tokens a job may ask for, where its deployment has no limit of its own. */
  readonly maxOutputTokens: number
  /** The names in ALLOW_BODY_FIELDS: what bodies may ask for beyond an answer. */
  readonly allowedBodyFields: readonly string[]
  /**
   * How old a message becomes before a model that no deployment serves ends its job, in milliseconds: while a rollout runs,
   * another revision may serve it. 0: it ends the job at once.
   */
  readonly rolloutMs: number
  readonly now: Clock
}

export type Plan =
  | AskPlan
  /** Another revision may run the job: its message is to be redelivered. */
  | { readonly kind: 'defer'; readonly failure: Failure }
  | EndPlan

interface AskPlan {
  readonly kind: 'ask'
  readonly candidates: Candidates
}

/** The job ends without a request to the model. */
export interface EndPlan {
  readonly kind: 'end'
  readonly ending: Exclude<Ending, { status: 'succeeded' }>
}

const NOT_SERVED_YET = {
  kind: 'busy',
  message: 'no deployment of this revision serves the model it names; a rollout may bring one that does',
} as const

/** Decides how a job goes on, before any cost. `publishedAt`: of its message, in epoch milliseconds. */
export function planJob(dependencies: PlanDependencies, job: Job, publishedAt: number): Plan {
  const { deployments, circuits, maxOutputTokens, allowedBodyFields, rolloutMs, now } = dependencies
  if (job.deadline !== undefined && now() > job.deadline) {
    const error: EndError = { kind: 'expired', message: 'its deadline passed before it was started' }
    return { kind: 'end', ending: { status: 'expired', error } }
  }
  const serving = servingDeployments(deployments, job.model)
  if (serving.length === 0) {
    const served = [...new Set(deployments.map(({ model }) => model))].join(', ')
    const hint = `Served here: ${served}. Add a deployment, or change the job.`
    return now() - publishedAt < rolloutMs
      ? { kind: 'defer', failure: { ...NOT_SERVED_YET, hint } }
      : invalid('no deployment serves the model it names', hint)
  }
  const forbidden = findForbidden(job, allowedBodyFields)
  const limitOf = (deployment: Deployment) => deployment.maxOutputTokens ?? maxOutputTokens
  const tokens = leastOutputOf(job)
  const [candidate, ...more] = serving.filter((each) => tokens <= limitOf(each)).map((each) => candidateFor(job, each))
  if (candidate === undefined) return tooLong(tokens, Math.max(...serving.map(limitOf)), maxOutputTokens)
  if (forbidden.length > 0) return notAllowed(forbidden)
  const candidates = [candidate, ...more] as const
  const missing = circuits.missing(candidate.deployment)
  return missing && areMissing(candidates, circuits.missing) ? missingForGood(missing) : { kind: 'ask', candidates }
}

/** The output tokens that a job asks for. Each choice takes a token at least. */
function leastOutputOf({ body }: Job): number {
  return (outputTokenCap(body) ?? 1) * choicesOf(body)
}

/** Ends a job that asks every deployment of its model for too much. `most`: the highest of their limits. */
function tooLong(tokens: number, most: number, maxOutputTokens: number): EndPlan {
  const setting = most === maxOutputTokens ? 'MAX_OUTPUT_TOKENS' : 'maxOutputTokens of its deployment'
  return invalid(`it asks for up to ${tokens} output tokens; ${setting} is ${most}`)
}

/** Ends a job whose body asks for what the operator has not allowed. */
function notAllowed(forbidden: readonly string[]): EndPlan {
  return invalid(
    `its body asks for what is not allowed here: ${listNames(forbidden)}`,
    'Remove it from the job, or name it in ALLOW_BODY_FIELDS and replay the job.',
  )
}

const MAX_NAMES = 5
const MAX_NAME_LENGTH = 60

/** Some names come from the job, so their length and characters are limited. */
function listNames(names: readonly string[]): string {
  const said = names.slice(0, MAX_NAMES).map((name) => name.slice(0, MAX_NAME_LENGTH).replaceAll(/[^\w.-]/g, '\ufffd'))
  return names.length > MAX_NAMES ? `${said.join(', ')} and ${names.length - MAX_NAMES} more` : said.join(', ')
}

/** Adds only a cap that the operator has set to a body: the default is more than some models accept. */
function candidateFor({ body }: Job, deployment: Deployment): Candidate {
  const { maxOutputTokens } = deployment
  const isLeftToModel = maxOutputTokens === undefined || outputTokenCap(body) !== undefined
  return { deployment, outputCap: isLeftToModel ? undefined : Math.floor(maxOutputTokens / choicesOf(body)) }
}

/** Ends a job whose deployment a probe has just found missing. Jobs before the next probe send no request. */
function missingForGood({ code, message, hint }: Failure): EndPlan {
  const error: EndError = { kind: 'no_deployment', code, message, hint }
  return { kind: 'end', ending: { status: 'dead_lettered', error } }
}

export const CANCELLED = {
  kind: 'end',
  ending: { status: 'cancelled', error: { kind: 'cancelled', message: 'its batch was cancelled' } },
} as const

/** Returns the plan, or the end of a job whose batch was cancelled, was stopped, or has reached its token limit. */
export async function applyBatchControls<P extends Plan>(watch: Watch, job: Job, plan: P): Promise<P | EndPlan> {
  const { batch, run } = job
  if (watch.cancelled.aborted) return CANCELLED
  if (plan.kind !== 'ask') return plan
  const refusal = watch.stoppedBy(run)
  if (refusal !== undefined) return stopped(batch, refusal)
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

function stopped(batch: string, code: string): EndPlan {
  const replay = `promptbridge dead-letters replay --batch ${quote(batch)} --reason rejected --force`
  const error: EndError = {
    kind: 'rejected',
    ...(code !== '' && { code }),
    message: `not asked: the first ${REFUSALS_TO_STOP} answers of its batch were this refusal`,
    hint: `Submit a corrected file, or correct the set-up. To ask all the same: ${replay}`,
  }
  return { kind: 'end', ending: { status: 'dead_lettered', error } }
}

function invalid(message: string, hint?: string): EndPlan {
  const error: EndError = { kind: 'invalid', message, ...defined({ hint }) }
  return { kind: 'end', ending: { status: 'dead_lettered', error } }
}

/** The deployments that serve a job's model, in order. A job that names no model takes the model of the first deployment. */
function servingDeployments(deployments: readonly Deployment[], model: string | undefined): readonly Deployment[] {
  const wanted = model ?? deployments[0]?.model
  return deployments.filter((deployment) => deployment.model === wanted)
}
