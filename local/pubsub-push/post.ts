import http from 'node:http'
import https from 'node:https'
import type { PushRequest } from './push-request.ts'
import type { SubscriptionSettings } from './settings.ts'

/** Posts a push; resolves with the HTTP status, or with undefined after a network error, a missed deadline or a close. */
export type Post = (push: PushRequest) => Promise<number | undefined>

/**
 * Creates the HTTP client of one subscription, which keeps its connections alive. `closing` aborts open requests. Several
 * endpoints are used in turn; all of them have the same protocol.
 *
 * Uses node:http, because fetch has a timeout of 300 s of its own.
 */
export function createPost(
  { endpoint, alsoAt, ackDeadlineMs }: Pick<SubscriptionSettings, 'endpoint' | 'alsoAt' | 'ackDeadlineMs'>,
  closing: AbortSignal,
): Post {
  const endpoints = [endpoint, ...alsoAt]
  let turn = 0
  const { Agent, request } = endpoint.startsWith('https:') ? https : http
  const agent = new Agent({ keepAlive: true, maxFreeSockets: Number.POSITIVE_INFINITY })
  closing.addEventListener('abort', () => agent.destroy())
  const send = ({ headers, body }: PushRequest) =>
    new Promise<number | undefined>((resolve) => {
      const length = { 'content-length': body.byteLength }
      const next = endpoints[turn % endpoints.length] ?? endpoint
      turn += 1
      const post = request(next, { method: 'POST', agent, headers: { ...headers, ...length } })
      const deadline = setTimeout(() => post.destroy(), ackDeadlineMs)
      // 102 is an ack, although it is no final response. The request stays open until the final response or the deadline.
      post.on('information', ({ statusCode }) => statusCode === 102 && resolve(102))
      post.on('response', (response) => resolve(response.resume().statusCode))
      post.on('error', () => resolve(undefined))
      post.on('close', () => clearTimeout(deadline))
      post.end(body)
    })
  // Rejects only if Node refuses to write a header. Pub/Sub cannot deliver such an attribute unwrapped either.
  return async (push) => (closing.aborted ? undefined : send(push).catch(() => undefined))
}
