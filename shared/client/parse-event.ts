import { z } from 'zod'
import { parseJson } from '../lib/parse-json.ts'
import { ClientError } from './client-error.ts'
import type { HeadersLike, PromptbridgeEvent } from './event-types.ts'

/** The attributes and the data of a message, in whichever way it came. */
interface Received {
  readonly attribute: (name: string) => string | undefined
  readonly data: unknown
}

const attributes = z.record(z.string(), z.string())
/** A push that is wrapped in JSON: https://cloud.google.com/pubsub/docs/push#receive_push */
const wrapped = z.object({ message: z.object({ attributes, data: z.string().default('') }) })
/** A message as Google's client gives it to a subscriber. */
const pulled = z.object({ attributes, data: z.instanceof(Uint8Array) })

/**
 * Reads an event from a push, wrapped in JSON or unwrapped, or from a message that was pulled.
 *
 * `body`: the request's body as text, bytes or parsed JSON, or the message. `headers`: those of an unwrapped push. Throws an
 * error with code `not_an_event` if it is none of Promptbridge.
 */
export function readEvent(body: unknown, headers: HeadersLike | undefined): PromptbridgeEvent {
  const { attribute, data } = receive(body, headers)
  const type = attribute('ce-type') ?? ''
  const [, kind, status] = /^promptbridge\.(job|batch)\.(\w+)$/.exec(type) ?? []
  if (kind === undefined) {
    throw notAnEvent(type === '' ? 'it has no attribute ce-type' : 'its type is not one of Promptbridge')
  }
  const source = attribute('ce-source') ?? ''
  const head = { key: `${source} ${attribute('ce-id')}`, type, source, time: new Date(attribute('ce-time') ?? '') }
  const schema = kind === 'job' ? jobData : batchData
  const parsed = schema.safeParse(typeof data === 'object' && data !== null ? { ...data, status } : data)
  if (!parsed.success) throw notAnEvent(z.prettifyError(parsed.error))
  return { ...head, ...parsed.data }
}

function receive(body: unknown, headers: HeadersLike | undefined): Received {
  const message = pulled.safeParse(body).data
  if (message !== undefined) return { attribute: (name) => message.attributes[name], data: jsonIn(message.data) }
  const value = typeof body === 'string' || body instanceof Uint8Array ? jsonIn(body) : body
  const push = wrapped.safeParse(value).data?.message
  if (push === undefined) return { attribute: (name) => headerIn(headers, name), data: value }
  return { attribute: (name) => push.attributes[name], data: jsonIn(Buffer.from(push.data, 'base64')) }
}

function jsonIn(data: string | Uint8Array): unknown {
  return parseJson(typeof data === 'string' ? data : new TextDecoder().decode(data))
}

const getter = z.object({ get: z.custom<(name: string) => string | null>((value) => typeof value === 'function') })
const records = z.record(z.string(), z.unknown())

/** An unwrapped push has each attribute as a header. Node gives their names in lower case. */
function headerIn(headers: HeadersLike | undefined, name: string): string | undefined {
  if (headers === undefined) return undefined
  if (getter.safeParse(headers).success && headers instanceof Headers) return headers.get(name) ?? undefined
  const value = records.safeParse(headers).data?.[name]
  return typeof value === 'string' ? value : undefined
}

const count = z.number()
const usage = z.object({
  promptTokens: count,
  completionTokens: count,
  cachedTokens: count.optional(),
  cacheWriteTokens: count.optional(),
})
const error = z.object({
  kind: z.string(),
  code: z.string().optional(),
  message: z.string(),
  hint: z.string().optional(),
})

const ended = {
  kind: z.literal('job').default('job'),
  id: z.string(),
  batch: z.string(),
  run: count,
  model: z.string().optional(),
  metadata: attributes.default({}),
  recordPath: z.string(),
  cost: z.object({ usd: count, asOf: z.string() }).optional().catch(undefined),
}
const jobData = z.discriminatedUnion('status', [
  z.object({
    ...ended,
    status: z.literal('succeeded'),
    usage,
    usageKnown: z.boolean().default(true),
    finishReason: z.string(),
    tier: z.string().optional().catch(undefined),
    text: z.string().optional(),
    result: z.unknown(),
  }),
  z.object({ ...ended, status: z.enum(['dead_lettered', 'cancelled', 'expired']), error }),
])
const batchData = z
  .object({
    kind: z.literal('batch').default('batch'),
    status: z.enum(['completed', 'incomplete']),
    batch: z.string(),
    total: count,
    counts: z.record(z.string(), count),
    tokens: usage.optional().catch(undefined),
  })
  .transform(({ tokens, ...rest }) => ({ ...rest, usage: tokens }))

function notAnEvent(why: string): ClientError {
  return new ClientError('not_an_event', `This is not an event of Promptbridge: ${why}`)
}
