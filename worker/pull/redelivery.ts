import type { StoredMessage } from '../../shared/queues/sqlite/queue-file.ts'

/** The same numbers as in deploy/terraform, so that a job has the same retries on both queues. */
const MIN_BACKOFF_MS = 10_000
const MAX_BACKOFF_MS = 600_000
/** Of a job's message, before it is forwarded to the dead-letter topic. */
const MAX_DELIVERIES = 100

/** How a delivery ended. cut: the worker shut down before it was processed. */
export type DeliveryEnd = 'done' | 'deferred' | 'cut'

/** What happens to a message after its delivery. `dueAt`: epoch milliseconds. */
export type Redelivery =
  | { readonly kind: 'ack' }
  | { readonly kind: 'nack'; readonly dueAt: number }
  | { readonly kind: 'forward'; readonly topic: string; readonly deliveries: number }

/** Decides as Pub/Sub does. `attempt` counts the delivery. `topic`: the dead-letter topic, if there is one. */
export function decideRedelivery(
  end: DeliveryEnd,
  attempt: number,
  now: number,
  topic: string | undefined,
): Redelivery {
  if (end === 'done') return { kind: 'ack' }
  // The next process continues at once.
  if (end === 'cut') return { kind: 'nack', dueAt: now }
  if (topic !== undefined && attempt >= MAX_DELIVERIES) return { kind: 'forward', topic, deliveries: attempt }
  return { kind: 'nack', dueAt: now + backoffMs(attempt) }
}

/** Decides before a delivery: a message may have had its last one without a nack, because it was cut or its process died. */
export function decideSpent(attempt: number, topic: string | undefined): Redelivery | undefined {
  return topic !== undefined && attempt > MAX_DELIVERIES
    ? { kind: 'forward', topic, deliveries: attempt - 1 }
    : undefined
}

/** Doubles with each attempt, up to the maximum. Sixty doublings are more than enough. */
function backoffMs(attempt: number): number {
  return Math.min(MIN_BACKOFF_MS * 2 ** Math.min(attempt - 1, 60), MAX_BACKOFF_MS)
}

/** The attributes of a forwarded message: its own, and those that Pub/Sub adds. */
export function forwardedAttributes(
  { attributes, publishedAt }: StoredMessage,
  topic: string,
  deliveries: number,
): StoredMessage['attributes'] {
  return {
    ...attributes,
    CloudPubSubDeadLetterSourceDeliveryCount: String(deliveries),
    CloudPubSubDeadLetterSourceSubscription: topic,
    CloudPubSubDeadLetterSourceTopicPublishTime: new Date(publishedAt).toISOString(),
  }
}
