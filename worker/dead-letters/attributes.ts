import type { Message } from '../../shared/queues/job-queue.ts'
import { MAX_ATTRIBUTES } from '../../shared/queues/message-limits.ts'

/** When a job was first published, as ISO 8601. Each rescue is a new message with its own publish time. */
export const FIRST_PUBLISHED = 'pb-first-published'

/** The attributes of a dead letter that name its failure. Any sender can write them, too. */
export const CAUSES = ['pb-reason', 'pb-error', 'pb-code', 'pb-hint', 'pb-key'] as const

/** Whether Pub/Sub adds this attribute to a forwarded message. https://cloud.google.com/pubsub/docs/handling-failures */
export function isForwardingMark(name: string): boolean {
  return name.startsWith('CloudPubSubDeadLetter')
}

/** The attributes that the worker reads. They come first if not all fit. */
const OURS = ['pb-run', 'batch', FIRST_PUBLISHED, 'pb-priority', 'pb-deadline', 'traceparent']
/** Attributes of Google's client libraries come last. */
const RANKS = [(name: string) => OURS.includes(name), (name: string) => !name.startsWith('googclient_'), () => true]

/** Returns the attributes of a follow-up message: all that are added, and as many of the earlier ones as fit. */
export function carriedAttributes(
  attributes: Message['attributes'],
  isDropped: (name: string) => boolean,
  added: readonly (readonly [string, string])[],
): Message['attributes'] {
  const rank = (name: string) => RANKS.findIndex((holds) => holds(name))
  const carried = Object.entries(attributes)
    .filter(([name]) => !isDropped(name))
    .toSorted(([a], [b]) => rank(a) - rank(b))
  return Object.fromEntries([...carried.slice(0, MAX_ATTRIBUTES - added.length), ...added])
}

/** Returns the beginning of a text as well-formed UTF-8 of at most `maxBytes` bytes. */
export function cut(value: string, maxBytes: number): string {
  const bytes = Buffer.from(value).subarray(0, maxBytes)
  // A streaming decoder drops an incomplete character at the end.
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes, { stream: true })
}
