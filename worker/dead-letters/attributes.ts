import type { Message } from '../../shared/queues/job-queue.ts'

// Pub/Sub's limits: https://cloud.google.com/pubsub/quotas#resource_limits
export const MAX_ATTRIBUTES = 100
export const MAX_NAME_BYTES = 256
export const MAX_VALUE_BYTES = 1_024

/** When a job was published first, as ISO 8601: each rescue is another message, with a publish time of its own. */
export const FIRST_PUBLISHED = 'pb-first-published'

/** What a dead letter says of its failure. Any sender can write these, too. */
export const CAUSES = ['pb-reason', 'pb-error', 'pb-code', 'pb-hint', 'pb-key'] as const

/** Whether Pub/Sub adds this to a message that it forwards. https://cloud.google.com/pubsub/docs/handling-failures */
export function isForwardingMark(name: string): boolean {
  return name.startsWith('CloudPubSubDeadLetter')
}

/** What a job is known and judged by. Where not all fit, these come first. */
const OURS = ['pb-run', 'batch', FIRST_PUBLISHED, 'pb-priority', 'traceparent']
/** Those of Google's client libraries come last. */
const RANKS = [(name: string) => OURS.includes(name), (name: string) => !name.startsWith('googclient_'), () => true]

/** The attributes of a message that follows another: what is told, and of the earlier ones as many as fit. */
export function carriedAttributes(
  attributes: Message['attributes'],
  isDropped: (name: string) => boolean,
  told: readonly (readonly [string, string])[],
): Message['attributes'] {
  const rank = (name: string) => RANKS.findIndex((holds) => holds(name))
  const carried = Object.entries(attributes)
    .filter(([name]) => !isDropped(name))
    .toSorted(([a], [b]) => rank(a) - rank(b))
  return Object.fromEntries([...carried.slice(0, MAX_ATTRIBUTES - told.length), ...told])
}

/** The beginning of a text, well formed, in at most so many bytes. */
export function cut(value: string, maxBytes: number): string {
  const bytes = Buffer.from(value).subarray(0, maxBytes)
  // A character cut in two is held back by a streaming decoder.
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes, { stream: true })
}
