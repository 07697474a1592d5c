import OpenAI, { APIError } from 'openai'
import { z } from 'zod'
import type { Failure } from '../job/failures.ts'
import type { JobUrl } from '../job/job.ts'
import { MAX_ANSWER_BYTES } from './answer-size.ts'
import { addressOf, endpoints } from './endpoints.ts'
import type { ModelProvider, ModelReply, ModelRequest } from './model-provider.ts'
import { readRefusal, requestIdOf } from './read-refusal.ts'
import { readText } from './read-text.ts'

/** Longer than any ask may take: the caller's signal is what ends a request, its body included. */
const NO_TIMEOUT_MS = 3_600_000

/** Of errors with these, not one byte of a request was sent: the connection was not made, or its certificate is no good. */
const CONNECTING = ['connect', 'getaddrinfo']
const NO_CONNECTION = /^(UND_ERR_CONNECT_TIMEOUT|ERR_TLS_CERT_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/

const MAX_REFUSAL_BYTES = 1024 * 1024

/** All that a request brings beside its body. */
const HEADERS = ['accept', 'authorization', 'content-type', 'user-agent', 'x-ms-client-request-id']

/**
 * Asks Azure OpenAI on a dated API version, or on its v1 API where none is given. `now`: epoch milliseconds.
 *
 * Connections are kept alive and shared by all requests to an endpoint.
 */
export function createAzureOpenAI(apiVersion: string | undefined, now: () => number): ModelProvider {
  const clients = new Map<string, OpenAI>()

  function clientFor(endpoint: string): OpenAI {
    const client = clients.get(endpoint) ?? newClient(endpoint)
    clients.set(endpoint, client)
    return client
  }

  return {
    async ask(request, signal) {
      try {
        const client = clientFor(request.deployment.endpoint)
        const response = await send(client, request, apiVersion, signal)
        const text = await readText(response.body, MAX_ANSWER_BYTES)
        return text === undefined ? tooLong(response) : readAnswer(request.job.url, text, response)
      } catch (error) {
        return { ok: false, failure: readFailure(error, now()) }
      }
    },
  }
}

/**
 * Everything is passed explicitly: the client would read keys and addresses from the environment, and retry by itself.
 *
 * The plain client serves both APIs: they differ in the address only, and AzureOpenAI can send an api-key.
 */
function newClient(endpoint: string): OpenAI {
  return new OpenAI({
    baseURL: `${endpoint}/openai`,
    apiKey: async () => 'each request brings its own token',
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    maxRetries: 0,
    timeout: NO_TIMEOUT_MS,
    logLevel: 'off',
    fetch: fetchPlainly,
  })
}

/** The client adds headers that tell of this machine, and whatever OPENAI_CUSTOM_HEADERS says: none of these leaves. */
async function fetchPlainly(url: string | URL | Request, init: RequestInit = {}): Promise<Response> {
  const given = new Headers(init.headers)
  const headers = [...given].filter(([name]) => HEADERS.includes(name))
  // A redirect would take the prompt and the token to another host.
  const response = await fetch(url, { ...init, headers, redirect: 'manual' })
  return response.ok ? response : withShortBody(response)
}

/** The client reads a refusal by itself, and without end. Its status tells enough where its body cannot be read. */
async function withShortBody(refusal: Response): Promise<Response> {
  const text = await readText(refusal.body, MAX_REFUSAL_BYTES).catch(() => undefined)
  const { status, statusText, headers } = refusal
  return new Response(text || null, { status, statusText, headers })
}

function send(
  client: OpenAI,
  { job, deployment, token, clientRequestId }: ModelRequest,
  apiVersion: string | undefined,
  signal: AbortSignal,
) {
  const { path, query } = addressOf(job.url, deployment.deployment, apiVersion)
  return client
    .post(path, {
      query,
      body: { ...job.body, model: deployment.deployment },
      headers: { authorization: `Bearer ${token}`, 'x-ms-client-request-id': clientRequestId },
      signal,
    })
    .asResponse()
}

function readAnswer(url: JobUrl, text: string, { status, headers }: Response): ModelReply {
  const requestId = requestIdOf(headers)
  const reading = endpoints[url].read(parseJson(text))
  if (reading === undefined) {
    return { ok: false, failure: ambiguous('Azure OpenAI answered something of another form', status, requestId) }
  }
  if (reading.ok) return { ...reading, text, httpStatus: status, requestId }
  const known = { httpStatus: status, fromService: true, ...(requestId === undefined ? {} : { requestId }) } as const
  return { ok: false, failure: { ...reading.failure, ...known } }
}

/** It was worked for and is paid for: asked again, it would be as long. */
function tooLong({ status, headers }: Response): ModelReply {
  const requestId = requestIdOf(headers)
  const failure: Failure = {
    kind: 'oversized',
    message: `Azure OpenAI answered with more than ${MAX_ANSWER_BYTES} bytes`,
    hint: 'Azure has billed this attempt. Ask for a shorter answer, such as embeddings in base64 or of fewer inputs; then replay the job.',
    httpStatus: status,
    ...(requestId === undefined ? {} : { requestId }),
  }
  return { ok: false, failure }
}

function readFailure(error: unknown, now: number): Failure {
  if (error instanceof APIError && error.status !== undefined && error.headers !== undefined) {
    return readRefusal({ httpStatus: error.status, headers: error.headers, error: error.error }, now)
  }
  const { code, syscall } = causeOf(error)
  const told = code === undefined ? {} : { code }
  if (CONNECTING.includes(syscall ?? '') || NO_CONNECTION.test(code ?? '')) {
    return { kind: 'unreachable', ...told, message: 'no connection to Azure OpenAI; nothing was sent' }
  }
  return { ...ambiguous('the request was sent and no whole answer came'), ...told }
}

function ambiguous(message: string, httpStatus?: number, requestId?: string): Failure {
  return {
    kind: 'ambiguous',
    message,
    ...(httpStatus === undefined ? {} : { httpStatus }),
    ...(requestId === undefined ? {} : { requestId }),
  }
}

const networkError = z.object({ code: z.string(), syscall: z.string().optional() })

/** The network's own error lies somewhere down the chain of causes. */
function causeOf(error: unknown): { code?: string; syscall?: string | undefined } {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth += 1) {
    const found = networkError.safeParse(cause)
    if (found.success) return found.data
  }
  return {}
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
