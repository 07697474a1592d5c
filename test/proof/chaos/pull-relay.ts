import { createDelivery, type Deliver } from '../../../local/pubsub-push/deliver.ts'
import { createPost } from '../../../local/pubsub-push/post.ts'
import { createPushFaultBook } from '../../../local/pubsub-push/push-faults.ts'
import { writePush } from '../../../local/pubsub-push/push-request.ts'
import { createPushTokens } from '../../../local/pubsub-push/push-tokens.ts'
import { CERTS_PATH, routes } from '../../../local/pubsub-push/routes.ts'
import { serve } from '../../../local/pubsub-push/serve.ts'
import { subscriptionsSchema } from '../../../local/pubsub-push/settings.ts'
import type { StandIn } from '../../../local/stand-in.ts'
import type { PushParts } from './backend.ts'
import { type Pulled, type Pulling, startPulling } from './pull.ts'

export interface PullRelayParts extends PushParts {
  /** Where a subscription of the emulator is, by its full name. */
  readonly urlOf: (subscription: string) => string
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
export async function startPullRelay({ urlOf, key, log, subscriptions, now }: PullRelayParts): Promise<PullRelay> {
  await using started = new AsyncDisposableStack()
  const faults = createPushFaultBook()
  const closing = new AbortController()
  const app = routes({ jwks: key.jwks, faults, log, status: async () => [] })
  const server = started.adopt(await serve(app, 0), (own) => own.close())
  const parts = { tokens: createPushTokens(key), faults, log, now, closing: closing.signal }
  const pulling: Pulling[] = []
  for (const settings of subscriptionsSchema.parse(subscriptions)) {
    const write = (message: Parameters<Deliver>[0]) => writePush(message, settings)
    const deliver = createDelivery({ ...parts, settings, post: createPost(settings, closing.signal), write })
    const source = { url: urlOf(settings.name), most: MAX_MESSAGES, signal: closing.signal }
    pulling.push(startPulling(source, createCarrier(deliver)))
  }
  started.defer(async () => {
    closing.abort()
    await Promise.all(pulling.map(({ ended }) => ended))
  })
  const cleanups = started.move()
  return {
    url: server.url,
    certsUrl: `${server.url}${CERTS_PATH}`,
    underWay: () => pulling.reduce((sum, one) => sum + one.underWay(), 0),
    close: () => cleanups.disposeAsync(),
  }
}

/** A message without a dead-letter policy has no attempt number, so attempts are counted here. */
function createCarrier(deliver: Deliver): (message: Pulled) => Promise<boolean> {
  const attempts = new Map<string, number>()
  return async (message) => {
    const attempt = (attempts.get(message.id) ?? 0) + 1
    attempts.set(message.id, attempt)
    return (await deliver({ ...message, attempt })) === 'acked'
  }
}
