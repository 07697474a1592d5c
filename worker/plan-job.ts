import { type Job, outputTokenCap } from '../shared/job/job.ts'
import type { RecordError } from '../shared/job/record.ts'
import { quote } from '../shared/quote.ts'
import type { Deployment } from '../shared/settings.ts'
import type { Ending } from '../shared/store/job-store.ts'
import type { Watch } from './batch-controls.ts'
import { chooseDeployment } from './model/choose-deployment.ts'

export interface Planning {
  readonly deployments: readonly Deployment[]
  readonly maxOutputTokens: number
  /** Epoch milliseconds. */
  readonly now: () => number
}

export type Plan =
  | { readonly kind: 'ask'; readonly deployment: Deployment }
  /** It needs no model to say how this job ends. */
  | { readonly kind: 'end'; readonly ending: Exclude<Ending, { status: 'succeeded' }> }

/** Decides what a job needs before anything is spent on it. */
export function planJob({ deployments, maxOutputTokens, now }: Planning, job: Job): Plan {
  if (job.deadline !== undefined && now() > job.deadline) {
    const error: RecordError = { kind: 'expired', message: 'its deadline passed before it was started' }
    return { kind: 'end', ending: { status: 'expired', error } }
  }
  const deployment = chooseDeployment(deployments, job.model)
  if (deployment === undefined) {
    const served = [...new Set(deployments.map(({ model }) => model))].join(', ')
    return invalid(
      'no deployment serves the model it names',
      `Served here: ${served}. Add a deployment, or change the job.`,
    )
  }
  const tokens = outputTokenCap(job.body) ?? 0
  if (tokens > maxOutputTokens) {
    return invalid(`it asks for up to ${tokens} output tokens; MAX_OUTPUT_TOKENS is ${maxOutputTokens}`)
  }
  return { kind: 'ask', deployment }
}

export const CANCELLED = {
  kind: 'end',
  ending: { status: 'cancelled', error: { kind: 'cancelled', message: 'its batch was cancelled' } },
} as const

/** The plan, unless what people decided of the job's batch has ended it meanwhile. */
export async function heedBatch(watch: Watch, { batch }: Job, plan: Plan): Promise<Plan> {
  if (watch.cancelled.aborted) return CANCELLED
  if (plan.kind === 'end') return plan
  const reached = await watch.limitReached()
  if (reached === undefined) return plan
  const error: RecordError = {
    kind: 'budget',
    code: 'batch_token_limit',
    message: `its batch has taken ${reached.spent} tokens; its limit is ${reached.limit}`,
    hint: `Raise it and replay: promptbridge dead-letters replay --batch ${quote(batch)} --reason budget --token-limit N`,
  }
  return { kind: 'end', ending: { status: 'dead_lettered', error } }
}

function invalid(message: string, hint?: string): Plan {
  const error: RecordError = { kind: 'invalid', message, ...(hint === undefined ? {} : { hint }) }
  return { kind: 'end', ending: { status: 'dead_lettered', error } }
}
