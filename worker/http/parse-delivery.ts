import { z } from 'zod'
import { findExcess } from '../../shared/job/json-limits.ts'
import { type Delivery, type ParsedDelivery, traceparentOf } from '../delivery/delivery.ts'
import type { HeaderReader } from './push-request.ts'

/** An unwrapped push has attributes as plain headers, among all other headers. Only these are read as attributes. */
const ATTRIBUTE_HEADERS = [
  ...['pb-run', 'pb-priority', 'batch', 'traceparent', 'googclient_traceparent', 'pb-first-published'],
  ...['pb-reason', 'pb-error', 'pb-code', 'pb-hint', 'pb-key', 'CloudPubSubDeadLetterSourceTopicPublishTime'],
]

/** A hundred times the attributes that Pub/Sub allows. JSON with more values is not a wrapped push; it may be a bare job. */
const ENVELOPE_LIMITS = { maxValues: 20_000, maxDepth: 101 }

const idText = z.union([z.string(), z.number()]).transform(String).optional().catch(undefined)
const timeText = z.string().optional().catch(undefined)
/** null counts as absent, and values that are not text are omitted: neither is a reason to lose a job. */
const attributeTexts = z
  .unknown()
  .transform((value) => Object.fromEntries(Object.entries(objectIn(value)).flatMap(attributeText)))

const wrappedPush = z.object({
  message: z.object({
    data: z.string().nullish(),
    attributes: attributeTexts.optional(),
    // Pub/Sub sends both, in either style.
    messageId: idText,
    message_id: idText,
    publishTime: timeText,
    publish_time: timeText,
  }),
  deliveryAttempt: z.unknown().optional(),
})

/**
 * Parses a push in either form of Pub/Sub: wrapped in JSON, or unwrapped with the metadata in headers.
 *
 * https://cloud.google.com/pubsub/docs/push and https://cloud.google.com/pubsub/docs/payload-unwrapping
 */
export function parseDelivery(headers: HeaderReader, body: Uint8Array, arrivedAt: number): ParsedDelivery {
  const unwrapped = readUnwrapped(headers, body, arrivedAt)
  if (headers.get('x-goog-pubsub-message-id') !== null) return { ok: true, delivery: unwrapped }
  const envelope = parseEnvelope(body)
  return envelope === undefined ? { ok: true, delivery: unwrapped } : readWrapped(envelope, unwrapped)
}

function readUnwrapped(headers: HeaderReader, data: Uint8Array, arrivedAt: number): Delivery {
  const found = ATTRIBUTE_HEADERS.map((name) => [name, headers.get(name)] as const)
  const attributes = Object.fromEntries(found.flatMap(([name, value]) => (value === null ? [] : [[name, value]])))
  return {
    messageId: headers.get('x-goog-pubsub-message-id') ?? '',
    data,
    attributes,
    deliveryAttempt: attemptIn(headers.get('x-goog-pubsub-delivery-attempt')),
    publishedAt: timeIn(headers.get('x-goog-pubsub-publish-time')),
    traceparent: traceparentOf(attributes),
    arrivedAt,
  }
}

function readWrapped(envelope: object, raw: Delivery): ParsedDelivery {
  const push = wrappedPush.safeParse(envelope)
  if (!push.success) {
    const [issue] = push.error.issues
    return { ok: false, delivery: raw, problem: `the push is malformed: ${issue?.path.join('.')}` }
  }
  const { message, deliveryAttempt } = push.data
  const { attributes = {} } = message
  const data = message.data ?? ''
  const delivery: Delivery = {
    messageId: message.messageId ?? message.message_id ?? '',
    data: Buffer.from(data, 'base64'),
    attributes,
    deliveryAttempt: attemptIn(deliveryAttempt),
    publishedAt: timeIn(message.publishTime ?? message.publish_time),
    traceparent: traceparentOf(attributes) ?? raw.traceparent,
    arrivedAt: raw.arrivedAt,
  }
  if (isBase64(data)) return { ok: true, delivery }
  return {
    ok: false,
    delivery: { ...delivery, data: Buffer.from(data) },
    problem: 'message.data is not base64',
  }
}

const utf8 = new TextDecoder()

/** A wrapped push is a JSON object with the field `message`, which no job has. The decoder skips a byte order mark. */
function parseEnvelope(body: Uint8Array): object | undefined {
  const text = utf8.decode(body)
  if (findExcess(text, ENVELOPE_LIMITS) !== undefined) return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  return typeof value === 'object' && value !== null && 'message' in value ? value : undefined
}

function objectIn(value: unknown): object {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {}
}

function attributeText([name, value]: [string, unknown]): [string, string][] {
  if (typeof value === 'string') return [[name, value]]
  return typeof value === 'number' || typeof value === 'boolean' ? [[name, String(value)]] : []
}

/** Reads an integer of at least 1, as a number or as text. */
function attemptIn(value: unknown): number | undefined {
  const attempt = typeof value === 'number' || typeof value === 'string' ? Number(value) : Number.NaN
  return Number.isSafeInteger(attempt) && attempt > 0 ? attempt : undefined
}

function timeIn(text: string | null | undefined): number | undefined {
  const time = Date.parse(text ?? '')
  return Number.isNaN(time) ? undefined : time
}

/** Buffer skips characters that are not base64, without an error. */
function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)
}
