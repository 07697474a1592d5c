import type { Message } from '../../shared/queues/job-queue.ts'
import { MAX_ATTRIBUTES, MAX_KEY_BYTES, MAX_VALUE_BYTES } from '../../shared/queues/message-limits.ts'

/** An event in the terms of CloudEvents 1.0: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md */
export interface CloudEvent {
  /** Two messages with the same source and id are one event. */
  readonly id: string
  readonly source: string
  readonly type: string
  readonly subject: string
  /** Epoch milliseconds. */
  readonly time: number
  /** JSON text. */
  readonly data: string
}

type Attributes = Readonly<Record<string, string>>

/** Additional attributes that a subscription may filter by. */
export interface Labels {
  readonly batch?: string
  readonly status?: string
  /** The sender's own names and values. */
  readonly metadata?: Attributes
}

const JSON_TYPE = 'application/json; charset=utf-8'

/**
 * Converts an event to a Pub/Sub message in binary mode: the message's data is the event's data, and the rest are attributes.
 *
 * The binding: https://github.com/googleapis/google-cloudevents/blob/main/docs/spec/pubsub.md
 */
export function eventMessage(event: CloudEvent, { metadata = {}, ...labels }: Labels): Message {
  const { id, source, type, subject, time, data } = event
  const ours = {
    'ce-specversion': '1.0',
    'ce-id': id,
    'ce-source': source,
    'ce-type': type,
    'ce-subject': subject,
    'ce-time': new Date(time).toISOString(),
    // The text of the binding names the first and its examples the second. Readers use either.
    'content-type': JSON_TYPE,
    'ce-datacontenttype': JSON_TYPE,
    ...labels,
  }
  const theirs = Object.entries(metadata)
    .map(([key, value]) => [attributeName(key), value] as const)
    .filter(([name, value]) => fits(name, value))
  const all = [...Object.entries(ours), ...theirs].slice(0, MAX_ATTRIBUTES)
  return { data: new TextEncoder().encode(data), attributes: Object.fromEntries(all) }
}

/** Names of this project and of Google, and names with the prefix `meta-`. Sender names among them get the prefix. */
const RESERVED = /^(ce-|pb-|goog|meta-)|^(content-type|batch|status)$/i

function attributeName(key: string): string {
  return RESERVED.test(key) ? `meta-${key}` : key
}

/** An entry that does not fit is omitted: a filter could match a truncated value by mistake. The data has all entries. */
function fits(name: string, value: string): boolean {
  return name !== '' && Buffer.byteLength(name) <= MAX_KEY_BYTES && Buffer.byteLength(value) <= MAX_VALUE_BYTES
}
