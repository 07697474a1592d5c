import { openQueueReport } from '../../shared/queues/sqlite/queue-report.ts'
import { openSubscription } from '../../shared/queues/sqlite/subscription.ts'
import { openCallLog } from '../call-log.ts'
import { realDependencies } from '../dependencies.ts'
import { createSigningKey, type SigningKey } from '../signing-key.ts'
import type { StandIn, StandInOptions } from '../stand-in.ts'
import { createPushFaultBook } from './push-faults.ts'
import { openPushLine, type PushLine } from './push-line.ts'
import { createPushTokens } from './push-tokens.ts'
import { CERTS_PATH, routes, type SubscriptionStatus } from './routes.ts'
import { serve } from './serve.ts'
import { type SubscriptionOptions, subscriptionsSchema } from './settings.ts'

const POLL_MS = 20

export interface PubSubPushOptions extends StandInOptions {
  /** The embedded queue's file. Only one push stand-in at a time may serve a topic. */
  readonly file: string
  readonly subscriptions: readonly SubscriptionOptions[]
  /** Google's key, given when another stand-in also signs as Google. */
  readonly key?: SigningKey
  /** How often an idle topic is polled. */
  readonly pollMs?: number
}

export interface PubSubPush extends StandIn {
  /** The address of the keys that verify the tokens of pushes. */
  readonly certsUrl: string
  status(): Promise<readonly SubscriptionStatus[]>
}

/**
 * Pushes the messages of the embedded queue to HTTP endpoints as Pub/Sub does.
 *
 * Takes over the leases of an earlier process that died. Rejects with ZodError for wrong settings, EADDRINUSE for a port in
 * use and SQLite's own error for the file. Its close aborts open posts and releases their messages.
 */
export async function startPubSubPush(options: PubSubPushOptions): Promise<PubSubPush> {
  const subscriptions = subscriptionsSchema.parse(options.subscriptions)
  const { now } = { ...realDependencies, ...options.dependencies }
  await using opened = new AsyncDisposableStack()
  const log = options.log ?? opened.adopt(await openCallLog(), (own) => own.close())
  const key = options.key ?? (await createSigningKey())
  const faults = createPushFaultBook()
  const queue = opened.adopt(await openSubscription(options.file), (own) => own.close())
  const report = opened.adopt(await openQueueReport(options.file), (own) => own.close())
  const closing = new AbortController()
  const parts = { queue, report, faults, log, now, closing: closing.signal, pollMs: options.pollMs ?? POLL_MS }
  const lines: PushLine[] = []
  const status = () => Promise.all(lines.map((line) => line.status()))
  const server = await serve(routes({ jwks: key.jwks, faults, log, status }), options.port ?? 0)
  opened.defer(() => server.close())
  opened.defer(async () => {
    closing.abort()
    await Promise.all(lines.map((line) => line.ended))
  })
  const tokens = createPushTokens(key)
  for (const settings of subscriptions) lines.push(await openPushLine({ settings, tokens, ...parts }))
  const cleanups = opened.move()
  return {
    url: server.url,
    certsUrl: `${server.url}${CERTS_PATH}`,
    status,
    close: () => cleanups.disposeAsync(),
  }
}
