import OpenAI, { APIConnectionError, APIError } from 'openai'
import { z } from 'zod'
import type { Failure } from '../../shared/job/failures.ts'
import type { ModelProvider, ModelReply, ModelRequest } from './model-provider.ts'
import { readRefusal, requestIdOf } from './read-refusal.ts'

/** Longer than any ask may take: the caller's signal is what ends a request, its body included. */
const NO_TIMEOUT_MS = 3_600_000

const count = z.number().int().min(0)
const chatCompletion = z.object({
  choices: z.array(z.object({ finish_reason: z.string(), message: z.object({}) })).min(1),
  usage: z.object({ prompt_tokens: count, completion_tokens: count }),
})

/** Errors that come before the first byte of a request is sent. */
const NEVER_SENT =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT|CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/

/** Asks Azure OpenAI's v1 API. Connections are kept alive and shared by all requests to an endpoint. */
export function createAzureOpenAI(): ModelProvider {
  const clients = new Map<string, OpenAI>()

  function clientFor(endpoint: string): OpenAI {
    const client = clients.get(endpoint) ?? newClient(endpoint)
    clients.set(endpoint, client)
    return client
  }

  return {
    async ask(request, signal) {
      try {
        const response = await send(clientFor(request.deployment.endpoint), request, signal)
        return readAnswer(await response.text(), response)
      } catch (error) {
        return { ok: false, failure: readFailure(error) }
      }
    },
  }
}

/** Everything is passed explicitly: the client would read keys and addresses from the environment, and retry by itself. */
function newClient(endpoint: string): OpenAI {
  return new OpenAI({
    baseURL: `${endpoint}/openai/v1/`,
    apiKey: async () => 'each request brings its own token',
    adminAPIKey: null,
    organization: null,
    project: null,
    maxRetries: 0,
    timeout: NO_TIMEOUT_MS,
    logLevel: 'off',
  })
}

function send(client: OpenAI, { job, deployment, token, clientRequestId }: ModelRequest, signal: AbortSignal) {
  return client
    .post(job.url.replace(/^\/v1/, ''), {
      body: { ...job.body, model: deployment.deployment },
      headers: { authorization: `Bearer ${token}`, 'x-ms-client-request-id': clientRequestId },
      signal,
    })
    .asResponse()
}

function readAnswer(text: string, { status, headers }: Response): ModelReply {
  const requestId = requestIdOf(headers)
  const answer = chatCompletion.safeParse(parseJson(text))
  const [choice] = answer.data?.choices ?? []
  if (!answer.success || choice === undefined) {
    return { ok: false, failure: ambiguous('Azure OpenAI answered something that is no completion', status, requestId) }
  }
  const { prompt_tokens, completion_tokens } = answer.data.usage
  const usage = { promptTokens: prompt_tokens, completionTokens: completion_tokens }
  return { ok: true, text, usage, finishReason: choice.finish_reason, httpStatus: status, requestId }
}

function readFailure(error: unknown): Failure {
  if (error instanceof APIError && error.status !== undefined && error.headers !== undefined) {
    return readRefusal({ httpStatus: error.status, headers: error.headers, error: error.error })
  }
  const code = causeCode(error)
  if (error instanceof APIConnectionError && code !== undefined && NEVER_SENT.test(code)) {
    return { kind: 'unreachable', code, message: 'no connection to Azure OpenAI; nothing was sent' }
  }
  return { ...ambiguous('the request was sent and no whole answer came'), ...(code === undefined ? {} : { code }) }
}

function ambiguous(message: string, httpStatus?: number, requestId?: string): Failure {
  return {
    kind: 'ambiguous',
    message,
    ...(httpStatus === undefined ? {} : { httpStatus }),
    ...(requestId === undefined ? {} : { requestId }),
  }
}

/** The network's own code lies somewhere down the chain of causes. */
function causeCode(error: unknown): string | undefined {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth += 1) {
    if ('code' in cause && typeof cause.code === 'string') return cause.code
  }
  return undefined
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
