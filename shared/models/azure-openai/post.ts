import type { IncomingMessage } from 'node:http'
import OpenAI from 'openai'
import type { Job } from '../../job/job.ts'
import type { Connections } from './connections.ts'
import type { Address } from './endpoints.ts'
import { readText } from './read-text.ts'

export interface ModelPost {
  readonly endpoint: string
  readonly address: Address
  readonly body: Job['body']
  readonly headers: Readonly<Record<string, string>>
}

/** Longer than any request may take. The caller's signal ends a request and the reading of its answer. */
const NO_TIMEOUT_MS = 3_600_000

const MAX_REFUSAL_BYTES = 1024 * 1024

/** The parts of a request besides its body. */
const HEADERS = ['accept', 'authorization', 'content-type', 'user-agent', 'x-ms-client-request-id']

/**
 * Posts once with OpenAI's client over these connections, and resolves with a 2xx with an unread body.
 *
 * Rejects with the client's APIError for any other answer, and for an error of the connection, which is its cause.
 */
export async function post(
  connections: Connections,
  { endpoint, address: { path, query }, body, headers }: ModelPost,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { promise, resolve } = Promise.withResolvers<IncomingMessage>()
  /*
   * The client adds headers that describe this machine, and those of OPENAI_CUSTOM_HEADERS. They are removed. The client has
   * no signal, because it would report an abort and hide what the connection knows about the request.
   */
  const send = async (url: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    if (typeof init.body !== 'string') throw new TypeError('a request of a model has a JSON body')
    const kept = [...new Headers(init.headers)].filter(([name]) => HEADERS.includes(name))
    const sent = { ...Object.fromEntries(kept), 'accept-encoding': 'identity' }
    const answer = await connections.post({ url: String(url), headers: sent, body: init.body }, signal)
    const { statusCode: status = 0 } = answer
    const isOk = status >= 200 && status < 300
    if (isOk) resolve(answer)
    return new Response(isOk ? null : await shortBody(answer), { status, headers: headersOf(answer) })
  }
  await clientOf(endpoint, send).post(path, { query, body, headers }).asResponse()
  return promise
}

/**
 * Everything is passed explicitly: the client would read keys and addresses from the environment, and retry by itself.
 *
 * The plain client serves both APIs: they differ in the address only, and AzureOpenAI can send an api-key.
 */
function clientOf(endpoint: string, send: typeof fetch): OpenAI {
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
    fetch: send,
  })
}

/** Reads the body of a refusal with a limit, which the client lacks. If the body cannot be read, the status is enough. */
async function shortBody(refusal: IncomingMessage): Promise<string | null> {
  const text = await readText(refusal, MAX_REFUSAL_BYTES).catch(() => undefined)
  return text || null
}

export function headersOf({ headers }: IncomingMessage): Headers {
  return new Headers(
    Object.entries(headers).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])),
  )
}
