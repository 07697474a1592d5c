import { z } from 'zod'
import type { StoredMessage } from '../../shared/queues/sqlite/queue-file.ts'
import { openCallLog } from '../call-log.ts'
import { realDependencies } from '../dependencies.ts'
import { createSigningKey } from '../signing-key.ts'
import type { StandIn, StandInOptions } from '../stand-in.ts'
import { createDelivery } from './deliver.ts'
import { createPost } from './post.ts'
import { createPushFaultBook } from './push-faults.ts'
import { createPushTokens } from './push-tokens.ts'
import { CERTS_PATH, routes } from './routes.ts'
import { serve } from './serve.ts'
import { type SubscriptionOptions, subscriptionsSchema } from './settings.ts'

export interface PushRelayOptions extends StandInOptions {
  /** The subscriptions: the identity of their tokens, and the endpoints of their pushes. */
  readonly subscriptions: readonly SubscriptionOptions[]
}

export interface PushRelay extends StandIn {
  readonly certsUrl: string
}

const envelope = z.object({ message: z.object({ messageId: z.string(), data: z.string().default('') }) })

/**
 * Forwards pushes of Google's Pub/Sub emulator to endpoints: a push to the path of an endpoint is sent to it unchanged.
 *
 * It adds the signed token, which the emulator does not send. It logs and duplicates deliveries as the push stand-in does.
 */
export async function startPushRelay({ subscriptions, ...options }: PushRelayOptions): Promise<PushRelay> {
  const { now } = { ...realDependencies, ...options.dependencies }
  const log = options.log ?? (await openCallLog())
  const key = await createSigningKey()
  const faults = createPushFaultBook()
  const closing = new AbortController()
  const parts = { tokens: createPushTokens(key), faults, log, now, closing: closing.signal }
  const attempts = new Map<string, number>()

  const app = routes({ jwks: key.jwks, faults, log, status: async () => [] })
  for (const settings of subscriptionsSchema.parse(subscriptions)) {
    const post = createPost(settings, closing.signal)
    app.post(new URL(settings.endpoint).pathname, async (context) => {
      const body = new Uint8Array(await context.req.arrayBuffer())
      const message = readMessage(body, attempts)
      const write = () => ({ headers: { 'content-type': 'application/json' }, body })
      const answer = await createDelivery({ ...parts, settings, post, write })(message)
      return context.body(null, answer === 'acked' ? 204 : 503)
    })
  }
  const server = await serve(app, options.port ?? 0)
  return {
    url: server.url,
    certsUrl: `${server.url}${CERTS_PATH}`,
    async close() {
      closing.abort()
      await server.close()
      if (options.log === undefined) log.close()
    },
  }
}

/** The emulator counts no attempts, so they are counted here. */
function readMessage(body: Uint8Array, attempts: Map<string, number>): StoredMessage {
  const { message } = envelope.parse(JSON.parse(Buffer.from(body).toString()))
  const attempt = (attempts.get(message.messageId) ?? 0) + 1
  attempts.set(message.messageId, attempt)
  const data = Buffer.from(message.data, 'base64')
  return { id: message.messageId, attempt, publishedAt: 0, attributes: {}, data }
}
