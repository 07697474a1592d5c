import type { Message, PubSub } from '@google-cloud/pubsub'
import { createDelivery, type Deliver } from '../../local/pubsub-push/deliver.ts'
import { createPost } from '../../local/pubsub-push/post.ts'
import { createPushFaultBook } from '../../local/pubsub-push/push-faults.ts'
import { writePush } from '../../local/pubsub-push/push-request.ts'
import { createPushTokens } from '../../local/pubsub-push/push-tokens.ts'
import { CERTS_PATH, routes } from '../../local/pubsub-push/routes.ts'
import { serve } from '../../local/pubsub-push/serve.ts'
import { subscriptionsSchema } from '../../local/pubsub-push/settings.ts'
import type { StandIn } from '../../local/stand-in.ts'
import type { PushParts } from './backend.ts'

export interface PullRelayParts extends PushParts {
  readonly client: PubSub
  /** Epoch milliseconds. */
  readonly now: () => number
}

export interface PullRelay extends StandIn {
  readonly certsUrl: string
  /** How many messages are being delivered. */
  underWay(): number
}

/** As many as Pub/Sub delivers at once to us. */
const MAX_MESSAGES = 40

/**
 * Pulls messages from Google's emulator, and pushes them as our push stand-in does.
 *
 * The emulator redelivers and dead-letters. Its own push was measured to stop for minutes after some seconds of refusals.
 */
export async function startPullRelay({ client, key, log, subscriptions, now }: PullRelayParts): Promise<PullRelay> {
  await using started = new AsyncDisposableStack()
  const faults = createPushFaultBook()
  const closing = new AbortController()
  const app = routes({ jwks: key.jwks, faults, log, status: async () => [] })
  const server = started.adopt(await serve(app, 0), (own) => own.close())
  const parts = { tokens: createPushTokens(key), faults, log, now, closing: closing.signal }
  const underWay = new Set<Promise<void>>()
  for (const settings of subscriptionsSchema.parse(subscriptions)) {
    const write = (message: Parameters<Deliver>[0]) => writePush(message, settings)
    const deliver = createDelivery({ ...parts, settings, post: createPost(settings, closing.signal), write })
    const carry = createCarrier(deliver)
    const pulled = client.subscription(settings.name, { flowControl: { maxMessages: MAX_MESSAGES } })
    pulled.on('message', (message: Message) => {
      const carried = carry(message).finally(() => underWay.delete(carried))
      underWay.add(carried)
    })
    started.defer(() => pulled.close())
  }
  started.defer(async () => {
    closing.abort()
    await Promise.all(underWay)
  })
  const cleanups = started.move()
  return {
    url: server.url,
    certsUrl: `${server.url}${CERTS_PATH}`,
    underWay: () => underWay.size,
    close: () => cleanups.disposeAsync(),
  }
}

/** A message without a dead-letter policy tells no attempts, so they are counted here. */
function createCarrier(deliver: Deliver): (message: Message) => Promise<void> {
  const attempts = new Map<string, number>()
  return async (message) => {
    const { id, attributes, data, publishTime } = message
    const attempt = (attempts.get(id) ?? 0) + 1
    attempts.set(id, attempt)
    const answer = await deliver({ id, attempt, publishedAt: publishTime.getTime(), attributes, data })
    if (answer === 'acked') message.ack()
    else message.nack()
  }
}
