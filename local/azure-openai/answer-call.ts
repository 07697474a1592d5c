import { z } from 'zod'
import type { CallDetail } from '../call-log.ts'
import type { Dependencies } from '../dependencies.ts'
import { AZURE_ERRORS, type AzureErrorName } from '../fixtures/azure-errors.ts'
import { type AzureHeaders, refuseAsAzure } from './answers.ts'
import type { Limiter } from './limiter.ts'
import type { Asked, ModelOperation, Work } from './model-operation.ts'
import { estimateTokens } from './tokens.ts'

export interface Deployment {
  readonly name: string
  readonly serves: ModelOperation['needs']
  /** The model's name and version in answers. */
  readonly model: string
  /** In tokens. */
  readonly contextWindow: number
  readonly requestsPerMinute: number
  readonly tokensPerMinute: number
}

/** How long an answer takes: a base time and a time for each token, varied by `spread` (0.2 is 20 %). */
export interface Latency {
  readonly baseMs: number
  readonly perOutputTokenMs: number
  readonly spread: number
}

/** The state that all calls of one resource share. */
export interface Answerer {
  readonly deployments: ReadonlyMap<string, Deployment>
  readonly limiter: Limiter
  readonly latency: Latency
  readonly dependencies: Dependencies
  readonly closing: AbortSignal
}

/** The content filter rejects a prompt with this phrase. */
export const CONTENT_FILTER_MARKER = '[[trip the content filter]]'

/** The output tokens that Azure counts on arrival for a request without a maximum. */
const DEFAULT_OUTPUT_TOKENS = 1_024

/** One call of an authorized caller. */
export interface ModelCall {
  readonly operation: ModelOperation
  readonly body: unknown
  /** `v1`, or a date. */
  readonly apiVersion: string
  readonly headers: AzureHeaders
}

/** An answer, and its details for the log. */
export interface Outcome {
  readonly response: Response
  readonly detail: CallDetail
}

/**
 * Answers one call.
 *
 * Checks in the order of the service: deployment, body, context window, quota, content filter. Then the model answers.
 */
export async function answerCall({ operation, body, apiVersion, headers }: ModelCall, to: Answerer): Promise<Outcome> {
  const asked = operation.read(body)
  const refuse = (name: AzureErrorName, values: Record<string, string>, more: CallDetail, also = {}): Outcome => ({
    response: refuseAsAzure(AZURE_ERRORS[name], values, { ...headers, ...also }),
    detail: { apiVersion, error: name, ...more },
  })
  const name = named.safeParse(body).data?.model
  const deployment = to.deployments.get(name ?? '')
  if (name !== undefined && deployment === undefined) return refuse('deployment_not_found', {}, { deployment: name })
  if (deployment !== undefined && deployment.serves !== operation.needs) {
    const values = { verb: operation.verb, model: deployment.model }
    return refuse('operation_not_supported', values, { deployment: deployment.name })
  }
  if (asked.kind === 'malformed' || deployment === undefined) return refuse('invalid_body', problemOf(asked), {})
  const promptTokens = estimateTokens(asked.prompt)
  const known = { apiVersion, deployment: deployment.name, promptTokens }
  if (promptTokens > deployment.contextWindow) {
    const values = { contextWindow: String(deployment.contextWindow), promptTokens: String(promptTokens) }
    return refuse('context_length_exceeded', values, known)
  }
  const { newId, now } = to.dependencies
  const estimate = promptTokens + (asked.maxOutputTokens ?? DEFAULT_OUTPUT_TOKENS) * (asked.choices ?? 1)
  const { error, headers: limits } = to.limiter.arrive(deployment, estimate, now())
  if (error !== undefined) {
    const values = { operation: operation.name, apiVersion, retryAfterSeconds: limits['retry-after'] ?? '0' }
    return refuse(error, values, known, limits)
  }
  // Azure charges for a prompt that its filter rejected, because it was read.
  if (asked.prompt.includes(CONTENT_FILTER_MARKER)) {
    return refuse('content_filter', {}, { ...known, completionTokens: 0, billed: true }, limits)
  }
  const work = await doWork(asked, to)
  const answer = work.answer({ id: newId(), model: deployment.model, nowMs: now(), promptTokens })
  return {
    response: Response.json(answer, { headers: { ...headers, ...limits } }),
    detail: { ...known, completionTokens: work.outputTokens, finish: work.finish, billed: true },
  }
}

const named = z.object({ model: z.string().min(1) })

function problemOf(asked: ReturnType<ModelOperation['read']>): Record<string, string> {
  return asked.kind === 'malformed' ? { problem: asked.problem, param: asked.param } : {}
}

/** If the caller disconnects, the work continues and is paid, as at Azure. */
async function doWork(asked: Asked, to: Answerer): Promise<Work> {
  const work = asked.work()
  const { baseMs, perOutputTokenMs, spread } = to.latency
  const swing = 1 + spread * (2 * to.dependencies.random() - 1)
  const ms = Math.round((baseMs + perOutputTokenMs * work.outputTokens) * swing)
  if (ms > 0) await to.dependencies.wait(ms, to.closing)
  return work
}
