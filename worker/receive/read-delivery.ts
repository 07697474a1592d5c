import { z } from 'zod'
import type { Delivery } from './delivery.ts'

export type ReadDelivery =
  | { readonly ok: true; readonly delivery: Delivery }
  /** Poison: `delivery` holds what came, as it came. */
  | { readonly ok: false; readonly delivery: Delivery; readonly problem: string }

/** An unwrapped push tells attributes as plain headers; among all others only these are ours. */
const ATTRIBUTE_HEADERS = [
  ...['pb-run', 'pb-priority', 'batch', 'traceparent', 'googclient_traceparent', 'pb-first-published'],
  ...['pb-reason', 'pb-error', 'pb-code', 'pb-hint', 'pb-key', 'CloudPubSubDeadLetterSourceTopicPublishTime'],
]

const wrappedPush = z.object({
  message: z.object({
    data: z.string().default(''),
    attributes: z.record(z.string(), z.string()).default({}),
    messageId: z.string().optional(),
    message_id: z.string().optional(),
    // Of use, and no reason to refuse a message.
    publishTime: z.string().optional().catch(undefined),
  }),
  deliveryAttempt: z.number().int().optional(),
})

/**
 * Reads a push in either form that Pub/Sub has: wrapped in JSON, or unwrapped with the metadata in headers.
 *
 * https://cloud.google.com/pubsub/docs/push and https://cloud.google.com/pubsub/docs/payload-unwrapping
 */
export function readDelivery(headers: Headers, body: Uint8Array, arrivedAt: number): ReadDelivery {
  const unwrapped = readUnwrapped(headers, body, arrivedAt)
  if (headers.has('x-goog-pubsub-message-id')) return { ok: true, delivery: unwrapped }
  const envelope = parseEnvelope(body)
  return envelope === undefined ? { ok: true, delivery: unwrapped } : readWrapped(envelope, unwrapped)
}

function readUnwrapped(headers: Headers, data: Uint8Array, arrivedAt: number): Delivery {
  const found = ATTRIBUTE_HEADERS.map((name) => [name, headers.get(name)] as const)
  const attributes = Object.fromEntries(found.flatMap(([name, value]) => (value === null ? [] : [[name, value]])))
  const attempt = Number(headers.get('x-goog-pubsub-delivery-attempt') ?? Number.NaN)
  return {
    messageId: headers.get('x-goog-pubsub-message-id') ?? '',
    data,
    attributes,
    deliveryAttempt: Number.isInteger(attempt) ? attempt : undefined,
    publishedAt: timeIn(headers.get('x-goog-pubsub-publish-time')),
    traceparent: traceparentOf(attributes),
    arrivedAt,
  }
}

function readWrapped(envelope: object, raw: Delivery): ReadDelivery {
  const push = wrappedPush.safeParse(envelope)
  if (!push.success) {
    const [issue] = push.error.issues
    return { ok: false, delivery: raw, problem: `the push is not of Pub/Sub's form: ${issue?.path.join('.')}` }
  }
  const { message, deliveryAttempt } = push.data
  const { attributes } = message
  const delivery: Delivery = {
    messageId: message.messageId ?? message.message_id ?? '',
    data: Buffer.from(message.data, 'base64'),
    attributes,
    deliveryAttempt,
    publishedAt: timeIn(message.publishTime),
    traceparent: traceparentOf(attributes) ?? raw.traceparent,
    arrivedAt: raw.arrivedAt,
  }
  if (isBase64(message.data)) return { ok: true, delivery }
  return {
    ok: false,
    delivery: { ...delivery, data: Buffer.from(message.data) },
    problem: 'message.data is not base64',
  }
}

/** A wrapped push is a JSON object with a `message` in it, which no job has. */
function parseEnvelope(body: Uint8Array): object | undefined {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString())
  } catch {
    return undefined
  }
  return typeof value === 'object' && value !== null && 'message' in value ? value : undefined
}

function traceparentOf(attributes: Readonly<Record<string, string>>): string | undefined {
  return attributes['traceparent'] ?? attributes['googclient_traceparent']
}

function timeIn(text: string | null | undefined): number | undefined {
  const time = Date.parse(text ?? '')
  return Number.isNaN(time) ? undefined : time
}

/** Buffer skips what is not base64 without a word. */
function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)
}
