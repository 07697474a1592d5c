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
  /** The token, and the id of the request. */
  readonly headers: Readonly<Record<string, string>>
}

/**
 * Posts once with OpenAI's client, and resolves with a 2xx with an unread body.
 *
 * Rejects with the client's APIError for any other answer, and for an error of the connection, which is its cause.
 */
export type PostToModel = (post: ModelPost, signal: AbortSignal) => Promise<IncomingMessage>

/** Posts to one address. */
type Route = (post: Pick<ModelPost, 'body' | 'headers'>, signal: AbortSignal) => Promise<IncomingMessage>

/** Longer than any request may take. The caller's signal ends a request and the reading of its answer. */
const NO_TIMEOUT_MS = 3_600_000

const MAX_REFUSAL_BYTES = 1024 * 1024

/** The client's own headers that are sent. */
const CLIENT_HEADERS = ['accept', 'content-type', 'user-agent']

/** Posts over these connections. Each address has a client of its own, which lives as long as the connections. */
export function createPostToModel(connections: Connections): PostToModel {
  const routes = new Map<string, Promise<Route>>()
  return async ({ endpoint, address, ...post }, signal) => {
    const name = `${endpoint} ${address.path} ${address.query['api-version']}`
    const route = routes.get(name) ?? openRoute(connections, endpoint, address)
    routes.set(name, route)
    return (await route)(post, signal)
  }
}

/**
 * The client builds the URL and its headers once. For each request that would take as much processor time as the request
 * itself. So a request passes through the client under a name, and is sent by that name.
 */
async function openRoute(connections: Connections, endpoint: string, address: Address): Promise<Route> {
  const sends = new Map<string, () => Promise<Response>>()
  const client = clientOf(endpoint)
  const { req, url } = await client.buildRequest({ method: 'post', ...address, body: {} })
  // The client adds headers that describe this machine, and those of OPENAI_CUSTOM_HEADERS. They are removed.
  const own = [...req.headers].filter(([name]) => CLIENT_HEADERS.includes(name))
  const common = { ...Object.fromEntries(own), 'accept-encoding': 'identity' }
  client.buildRequest = async ({ path: name }) => ({ req: { headers: NONE }, url: name, timeout: NO_TIMEOUT_MS })
  client.fetchWithTimeout = async (name) => {
    const send = sends.get(String(name))
    if (send === undefined) throw new Error('no request of a model has this name')
    return send()
  }
  let count = 0

  return async ({ body, headers }, signal) => {
    const { promise, resolve } = Promise.withResolvers<IncomingMessage>()
    count += 1
    const name = `post:${count}`
    // The client has no signal, because it would report an abort and hide what the connection knows about the request.
    sends.set(name, async () => {
      const sent = { url, headers: { ...common, ...headers }, body: JSON.stringify(body) }
      const answer = await connections.post(sent, signal)
      const { statusCode: status = 0 } = answer
      if (status < 200 || status > 299) return refusalOf(answer, status)
      resolve(answer)
      return ACCEPTED
    })
    try {
      await client.post(name).asResponse()
      return await promise
    } finally {
      sends.delete(name)
    }
  }
}

const NONE = new Headers()
/** Stands for any 2xx in the client, which reads no more of it. */
const ACCEPTED = new Response()

/**
 * Everything is passed explicitly: the client would read keys and addresses from the environment, and retry by itself.
 *
 * The plain client serves both APIs: they differ in the address only, and AzureOpenAI can send an api-key.
 */
function clientOf(endpoint: string): OpenAI {
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
  })
}

/** Reads the body of a refusal with a limit, which the client lacks. If the body cannot be read, the status is enough. */
async function refusalOf(answer: IncomingMessage, status: number): Promise<Response> {
  const text = await readText(answer, MAX_REFUSAL_BYTES).catch(() => undefined)
  return new Response(text || null, { status, headers: Object.entries(answer.headers).flatMap(asText) })
}

function asText([name, value]: [string, unknown]): [string, string][] {
  return typeof value === 'string' ? [[name, value]] : []
}
