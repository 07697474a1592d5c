import type { Message } from '../../shared/queues/job-queue.ts'
import type { Delivery } from '../delivery/delivery.ts'
import { CAUSES, carriedAttributes, FIRST_PUBLISHED, isForwardingMark } from './attributes.ts'

/** When the forwarded message was published. */
const SOURCE_PUBLISHED = 'CloudPubSubDeadLetterSourceTopicPublishTime'
/** Attributes that the rescued message must not have: it has not failed. */
const DROPPED: readonly string[] = [FIRST_PUBLISHED, ...CAUSES]

/**
 * Returns when a job was first published, in epoch milliseconds: the earliest known time, so that a sender cannot keep a job
 * alive with a later one. Without any known time it is the time of arrival.
 */
export function firstPublishedAt({ attributes, publishedAt, arrivedAt }: Delivery): number {
  const named = [attributes[FIRST_PUBLISHED], attributes[SOURCE_PUBLISHED]].map((text) => Date.parse(text ?? ''))
  const times = [...named, publishedAt ?? Number.NaN].filter((time) => !Number.isNaN(time))
  return Math.max(0, Math.min(arrivedAt, ...times))
}

/** Returns the message as it was before Pub/Sub forwarded it, to be published again. */
export function rescuedMessage({ data, attributes }: Message, firstPublished: number): Message {
  const isDropped = (name: string) => DROPPED.includes(name) || isForwardingMark(name)
  const added = [[FIRST_PUBLISHED, new Date(firstPublished).toISOString()]] as const
  return { data, attributes: carriedAttributes(attributes, isDropped, added) }
}
