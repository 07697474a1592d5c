import type { WaitUntil } from '../../shared/identity/access-token-source.ts'
import type { Job } from '../../shared/job/job.ts'
import type { Message } from '../../shared/queues/job-queue.ts'

/** One delivery of a message: a push in either form, or a message of the SQLite file. */
export interface Delivery {
  readonly messageId: string
  readonly data: Uint8Array
  readonly attributes: Readonly<Record<string, string>>
  /** Counted by the queue; absent at Pub/Sub without a dead-letter policy. */
  readonly deliveryAttempt: number | undefined
  /** When the message was published, as Pub/Sub reports it. Epoch milliseconds. */
  readonly publishedAt: number | undefined
  readonly traceparent: string | undefined
  /** Epoch milliseconds. */
  readonly arrivedAt: number
}

export type ParsedDelivery =
  | { readonly ok: true; readonly delivery: Delivery }
  /** Poison: `delivery` holds the unchanged content. */
  | { readonly ok: false; readonly delivery: Delivery; readonly problem: string }

/** The trace that a message belongs to. Google's client libraries have an attribute of their own. */
export function traceparentOf(attributes: Delivery['attributes']): string | undefined {
  return attributes['traceparent'] ?? attributes['googclient_traceparent']
}

/** A job with the delivery that brought it. */
export interface DeliveredJob {
  readonly job: Job
  /** The unchanged message, for the dead-letter topic. */
  readonly message: Message
  /** When its message was published, or when it arrived if the push does not say. Epoch milliseconds. */
  readonly publishedAt: number
  /** When the push ends, in epoch milliseconds. */
  readonly deadline: number
  /** Adds background work that the response waits for. */
  readonly waitUntil: WaitUntil
}
