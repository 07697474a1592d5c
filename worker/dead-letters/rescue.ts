import type { Message } from '../../shared/queues/job-queue.ts'
import type { Delivery } from '../delivery/delivery.ts'
import { CAUSES, carriedAttributes, FIRST_PUBLISHED, isForwardingMark } from './attributes.ts'

/** When the message was published that Pub/Sub forwards. */
const SOURCE_PUBLISHED = 'CloudPubSubDeadLetterSourceTopicPublishTime'
/** What the next message must not say: it has not failed. */
const DROPPED: readonly string[] = [FIRST_PUBLISHED, ...CAUSES]

/**
 * When a job was published first, in epoch milliseconds: the earliest of all that tell it, so that nobody who claims a
 * later time keeps a job going for ever. Where nothing tells it, its time begins now.
 */
export function firstPublishedAt({ attributes, publishedAt, arrivedAt }: Delivery): number {
  const told = [attributes[FIRST_PUBLISHED], attributes[SOURCE_PUBLISHED]].map((text) => Date.parse(text ?? ''))
  const times = [...told, publishedAt ?? Number.NaN].filter((time) => !Number.isNaN(time))
  return Math.max(0, Math.min(arrivedAt, ...times))
}

/** The message as it was before Pub/Sub gave it up, to be published again. */
export function rescuedMessage({ data, attributes }: Message, firstPublished: number): Message {
  const isDropped = (name: string) => DROPPED.includes(name) || isForwardingMark(name)
  const told = [[FIRST_PUBLISHED, new Date(firstPublished).toISOString()]] as const
  return { data, attributes: carriedAttributes(attributes, isDropped, told) }
}
