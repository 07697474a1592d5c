import type { Message } from '../shared/queue/job-queue.ts'
import { carriedAttributes, FIRST_PUBLISHED } from './message-attributes.ts'
import type { Delivery } from './receive/delivery.ts'

/** What Pub/Sub says of a message that it forwards. https://cloud.google.com/pubsub/docs/handling-failures */
const FORWARDED = 'CloudPubSubDeadLetter'
const SOURCE_PUBLISHED = `${FORWARDED}SourceTopicPublishTime`

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
  const isDropped = (name: string) => name === FIRST_PUBLISHED || name.startsWith(FORWARDED)
  const told = [[FIRST_PUBLISHED, new Date(firstPublished).toISOString()]] as const
  return { data, attributes: carriedAttributes(attributes, isDropped, told) }
}
