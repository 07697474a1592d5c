import type { PubSub, Subscription } from '@google-cloud/pubsub'

/** The client would try for a minute by itself. */
const ONCE = { timeout: 5_000, retry: null }

/** A subscription and its configuration. */
export interface Found {
  readonly subscription: Subscription
  readonly metadata: unknown
}

/** All subscriptions of a topic. Rejects with the client's own error. */
export async function subscriptionsOf(client: PubSub, topic: string): Promise<readonly Found[]> {
  const [all] = await client.topic(topic).getSubscriptions({ gaxOpts: { timeout: ONCE.timeout } })
  const found: Found[] = []
  for (const subscription of all) {
    const [metadata] = await subscription.getMetadata(ONCE)
    found.push({ subscription, metadata })
  }
  return found
}

/** The paths at which a worker receives jobs and dead letters. */
export type PushPath = '/push' | '/dead-letter'

/** Whether an endpoint belongs to a worker, judged by the end of its path. */
export function isOfWorker(endpoint: string | null | undefined, path: PushPath = '/push'): boolean {
  const url = endpoint ?? ''
  return URL.canParse(url) && new URL(url).pathname.endsWith(path)
}
