import type { IncomingMessage } from 'node:http'
import { APIError } from 'openai'
import { z } from 'zod'
import type { Deployment } from '../../config/deployments.ts'
import type { FederationSettings } from '../../identity/federation-settings.ts'
import type { Failure } from '../../job/failures.ts'
import type { Job, JobUrl } from '../../job/job.ts'
import type { Clock } from '../../lib/clock.ts'
import { defined } from '../../lib/defined.ts'
import { parseJson } from '../../lib/parse-json.ts'
import type { AskWithToken } from '../bearer-provider.ts'
import { lenient } from '../endpoint.ts'
import type { ModelReply, ModelRequest } from '../provider.ts'
import { MAX_ANSWER_BYTES } from './answer-size.ts'
import { codeOf, NotSentError, openConnections } from './connections.ts'
import { addressOf, endpoints } from './endpoints.ts'
import { explainDenial } from './explain-refused-token.ts'
import { createPostToModel, type ModelPost } from './post.ts'
import { readRateLimit } from './read-rate-limit.ts'
import { readRefusal, requestIdOf } from './read-refusal.ts'
import { readSpillover } from './read-spillover.ts'
import { readText } from './read-text.ts'

interface AzureOpenAIDependencies {
  /** Undefined: Azure's v1 API. */
  readonly apiVersion: string | undefined
  /** The values that the hint of a denial names. */
  readonly federation: FederationSettings
  readonly now: Clock
}

/** Sends requests to Azure OpenAI. Connections are kept alive and shared by all requests to an endpoint. */
export function createAzureOpenAI({ apiVersion, federation, now }: AzureOpenAIDependencies): AskWithToken {
  const post = createPostToModel(openConnections(now))
  return async (request, token, signal) => {
    try {
      const answer = await post(postOf(request, token, apiVersion), signal)
      const text = await readText(answer, MAX_ANSWER_BYTES)
      const reply = text === undefined ? tooLong(answer) : readAnswer(request.job.url, text, answer)
      return withHeaders(reply, headersOf(answer), request.deployment)
    } catch (error) {
      const failure = explainDenial(readFailure(error, request.deployment, now()), federation)
      const headers = error instanceof APIError ? error.headers : undefined
      return withHeaders({ ok: false, failure }, headers, request.deployment)
    }
  }
}

function postOf(request: ModelRequest, token: string, apiVersion: string | undefined): ModelPost {
  const { job, deployment, clientRequestId } = request
  return {
    endpoint: deployment.endpoint,
    address: addressOf(job.url, deployment.deployment, apiVersion),
    body: bodyOf(request, apiVersion),
    headers: { authorization: `Bearer ${token}`, 'x-ms-client-request-id': clientRequestId },
  }
}

/** The job's body. Only the deployment is replaced, and a cap of the answers is added if the job has none. */
export function bodyOf(
  { job, outputCap, deployment }: Pick<ModelRequest, 'job' | 'outputCap' | 'deployment'>,
  apiVersion: string | undefined,
): Job['body'] {
  const field = endpoints[job.url].capField(apiVersion)
  const cap = field === undefined || outputCap === undefined ? {} : { [field]: outputCap }
  return { ...job.body, ...cap, model: deployment.deployment }
}

const served = z
  .object({ service_tier: lenient(z.string().max(40)), model: lenient(z.string().min(1).max(200)) })
  .catch({})

/** Adds what the headers say about the quota, and about a deployment that answered in place of this one. */
function withHeaders(
  reply: ModelReply,
  headers: Pick<Headers, 'get'> | undefined,
  { deployment }: Deployment,
): ModelReply {
  if (headers === undefined) return reply
  const rateLimit = readRateLimit(headers)
  const spilledTo = readSpillover(headers, deployment)
  if (reply.ok) return { ...reply, ...defined({ rateLimit, spilledTo }) }
  return { ...reply, ...defined({ rateLimit }), failure: { ...reply.failure, ...defined({ spilledTo }) } }
}

function readAnswer(url: JobUrl, text: string, answer: IncomingMessage): ModelReply {
  const { status, requestId } = metaOf(answer)
  const body = parseJson(text)
  const reading = endpoints[url].read(body)
  if (reading === undefined) {
    return { ok: false, failure: ambiguous('Azure OpenAI answered something of another form', status, requestId) }
  }
  const { service_tier: serviceTier, model } = served.parse(body)
  if (reading.ok) return { ...reading, text, httpStatus: status, requestId, ...defined({ serviceTier, model }) }
  const known = { httpStatus: status, fromService: true, ...defined({ requestId }) } as const
  return { ok: false, failure: { ...reading.failure, ...known } }
}

/** The answer is billed. The same request would produce an answer of the same length again. */
function tooLong(answer: IncomingMessage): ModelReply {
  const { status, requestId } = metaOf(answer)
  const failure: Failure = {
    kind: 'oversized',
    message: `Azure OpenAI answered with more than ${MAX_ANSWER_BYTES} bytes`,
    hint: 'Azure has billed this attempt. Ask for a shorter answer, such as embeddings in base64 or of fewer inputs; then replay the job.',
    httpStatus: status,
    ...defined({ requestId }),
  }
  return { ok: false, failure }
}

function readFailure(error: unknown, deployment: Deployment, now: number): Failure {
  if (error instanceof APIError && error.status !== undefined && error.headers !== undefined) {
    const { status: httpStatus, headers } = error
    return readRefusal({ httpStatus, headers, error: error.error, deployment }, now)
  }
  const { isSent, code } = connectionError(error)
  const known = code === undefined ? {} : { code }
  return isSent
    ? { ...ambiguous('the request was sent and no whole answer came'), ...known }
    : { kind: 'unreachable', ...known, message: 'no connection to Azure OpenAI; nothing was sent' }
}

function ambiguous(message: string, httpStatus?: number, requestId?: string): Failure {
  return {
    kind: 'ambiguous',
    message,
    ...defined({ httpStatus, requestId }),
  }
}

/** Finds the connection's error in the chain of causes. */
function connectionError(error: unknown): { isSent: boolean; code: string | undefined } {
  let code: string | undefined
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth += 1) {
    if (cause instanceof NotSentError) return { isSent: false, code: cause.code }
    code ??= codeOf(cause)
  }
  return { isSent: true, code }
}

function metaOf(answer: IncomingMessage) {
  return { status: answer.statusCode ?? 0, requestId: requestIdOf(headersOf(answer)) }
}

/** Reads single headers of an answer, without a copy of all. A header that came several times is joined by Node. */
function headersOf({ headers }: IncomingMessage): Pick<Headers, 'get'> {
  return {
    get(name) {
      const value = headers[name]
      return typeof value === 'string' ? value : null
    },
  }
}
