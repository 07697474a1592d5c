import {
  type ClientRequest,
  Agent as HttpAgent,
  type IncomingMessage,
  type RequestOptions,
  request as requestHttp,
} from 'node:http'
import { globalAgent, Agent as HttpsAgent, request as requestHttps } from 'node:https'
import type { Duplex } from 'node:stream'
import { urlToHttpOptions } from 'node:url'
import { z } from 'zod'
import type { Clock } from '../../lib/clock.ts'

/** One request that is posted: its headers but for host and length, which are added, and its body. */
interface Post {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Connections that are kept alive, and shared by all requests to a host. */
export interface Connections {
  /**
   * Posts once, and resolves with an answer of any status with an unread body. The signal also aborts reading the body.
   *
   * Rejects with NotSentError if no byte of the request was sent. After any other error the service may have received the
   * request.
   */
  post(post: Post, signal: AbortSignal): Promise<IncomingMessage>
}

/** The request was not written to a secured connection, so the service cannot have received it. */
export class NotSentError extends Error {
  override readonly name = 'NotSentError'
  /** The code of the system or of TLS: ECONNREFUSED, DEPTH_ZERO_SELF_SIGNED_CERT. */
  readonly code: string | undefined

  constructor(cause: unknown) {
    super('no connection was made', { cause })
    this.code = codeOf(cause)
  }
}

/** From the look-up of the name until the connection is secured. */
const CONNECT_TIMEOUT_MS = 10_000
/** If a server closes idle connections earlier, its answers say so, and the agents apply that. */
const MAX_IDLE_MS = 4_000
/** Gateways add headers, and an answer must not be lost because of their size. */
const MAX_HEADER_BYTES = 64 * 1024

/** `now`: epoch milliseconds. */
export function openConnections(now: Clock): Connections {
  const options = {
    keepAlive: true,
    timeout: MAX_IDLE_MS,
    scheduling: 'lifo',
    maxFreeSockets: Number.POSITIVE_INFINITY,
    // As with fetch, a proxy is used if NODE_USE_ENV_PROXY or --use-env-proxy is set.
    proxyEnv: globalAgent.options.proxyEnv,
  } as const
  const overHttp = { agent: new HttpAgent(options), request: requestHttp, ready: 'connect' }
  const overHttps = { agent: new HttpsAgent(options), request: requestHttps, ready: 'secureConnect' }
  const targets = new Map<string, Target>()
  const freedAt = new WeakMap<Duplex, number>()
  for (const { agent } of [overHttp, overHttps]) agent.on('free', (socket) => freedAt.set(socket, now()))

  /** Compares times, because timers do not run while Cloud Run freezes the process between requests. */
  function dropStale({ freeSockets }: HttpAgent): void {
    for (const free of Object.values(freeSockets)) {
      // The agent uses the last one, which is the most recently freed.
      for (let last = free?.at(-1); last !== undefined && !isFresh(last); last = free?.at(-1)) free?.pop()?.destroy()
    }
  }

  function isFresh(socket: Duplex): boolean {
    const idleMs = now() - (freedAt.get(socket) ?? Number.NaN)
    return idleMs >= 0 && idleMs < MAX_IDLE_MS && socket.writable && !socket.readableEnded
  }

  function targetOf(url: string): Target {
    const target = targets.get(url) ?? parseTarget(url)
    targets.set(url, target)
    return target
  }

  return {
    post({ url, headers, body }, signal) {
      const target = targetOf(url)
      const { agent, request, ready } = target.protocol === 'https:' ? overHttps : overHttp
      dropStale(agent)
      const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
      const sending = request({ ...target, method: 'POST', headers, agent, maxHeaderSize: MAX_HEADER_BYTES })
      endWith(sending, signal)
      let isSent = false
      const send = () => {
        isSent = true
        sending.end(body)
      }
      sending.once('response', resolve)
      sending.on('error', (error) => reject(isSent ? error : new NotSentError(error)))
      sending.once('socket', (socket) => {
        if (!socket.connecting) return send()
        const timeout = setTimeout(() => sending.destroy(connectTimeout()), CONNECT_TIMEOUT_MS)
        sending.once('close', () => clearTimeout(timeout))
        socket.once(ready, () => {
          clearTimeout(timeout)
          send()
        })
      })
      return promise
    },
  }
}

type Target = Pick<RequestOptions, 'protocol' | 'hostname' | 'port' | 'path'>

function parseTarget(url: string): Target {
  const { protocol, hostname, port, path } = urlToHttpOptions(new URL(url))
  return { protocol, hostname, port, path }
}

/** Does what Node's option `signal` does, which also watches the request as a stream and costs more. */
function endWith(sending: ClientRequest, signal: AbortSignal): void {
  const abort = () => void sending.destroy(new DOMException('the request was aborted', 'AbortError'))
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort)
  sending.once('close', () => signal.removeEventListener('abort', abort))
}

function connectTimeout(): Error {
  return Object.assign(new Error(`no connection within ${CONNECT_TIMEOUT_MS} ms`), { code: 'ETIMEDOUT' })
}

const coded = z.object({ code: z.string() })

/** If a name has several addresses, there is an error for each. An abort by the caller has no code. */
export function codeOf(error: unknown): string | undefined {
  const own = coded.safeParse(error).data?.code
  if (own === 'ABORT_ERR') return undefined
  return own ?? (error instanceof AggregateError ? coded.safeParse(error.errors[0]).data?.code : undefined)
}
