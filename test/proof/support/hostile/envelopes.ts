import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { z } from 'zod'
import type { HostileData } from './data.ts'
import { anyHostileText, anyOf, anyWrongValue, hostileJson, mostly, type Named } from './kinds.ts'

/** A body as Pub/Sub might push it, or never would. */
export type Envelope = Named<Body>

interface Body {
  /** Lines of the head. */
  readonly headers: readonly string[]
  readonly body: Buffer
  /** What the worker may take for the message's data: where it is not said what is right, either is. */
  readonly mayHold: readonly Buffer[]
}

const JSON_TYPE = 'content-type: application/json'
const anyAttributes = fc
  .array(fc.tuple(anyHostileText, anyHostileText), { maxLength: 5 })
  .map((entries) => Object.fromEntries(entries))
const anyOurAttribute = fc.constantFrom(
  ...['pb-run', 'pb-priority', 'batch', 'traceparent', 'googclient_traceparent', 'pb-first-published', 'pb-reason'],
  ...['pb-error', 'pb-code', 'pb-hint', 'pb-key', 'CloudPubSubDeadLetterSourceTopicPublishTime'],
)
const anyRun = fc.constantFrom('0', '1', '2', '7', '999999', '1000000', '-1', '1e3', 'NaN', ' 1', '')
const anyTime = fc.constantFrom(
  '2026-11-24T06:00:00Z',
  '+275760-09-13T00:00:00.001Z',
  '-271821-04-20T00:00:00Z',
  '0',
  'x',
)
const anyOurAttributes = fc.tuple(anyOurAttribute, fc.oneof(anyHostileText, anyRun, anyTime))
const anyWrongMessage = fc.oneof(
  anyWrongValue,
  fc
    .tuple(fc.constantFrom('data', 'attributes', 'messageId', 'message_id', 'publishTime', 'x'), anyWrongValue)
    .map(([field, value]) => ({ data: 'e30=', [field]: value })),
  anyWrongValue.map((value) => ({ data: 'e30=', attributes: { a: value } })),
)
const anyType = fc.constantFrom('text/plain', 'application/xml', 'multipart/form-data; boundary=x', '*/*', ';;;', '')

/** An envelope around data that were drawn before. */
export function anyEnvelope({ data }: HostileData): fc.Arbitrary<Envelope> {
  const base64 = data.toString('base64')
  const wrap = (message: object, more: object = {}, text = base64) =>
    hostileJson({ message: { data: text, messageId: '7', ...message }, ...more })
  const whole = (text: string, mayHold = [data], headers = [JSON_TYPE]): Body => {
    return { headers, body: Buffer.from(text), mayHold }
  }
  const asItIs = (headers: readonly string[], body = data): Body => ({ headers, body, mayHold: [body] })

  const usual = anyOf({ wrapped: fc.constant(whole(wrap({}))) })
  const unusual = anyOf({
    'wrapped, with hostile attributes': anyAttributes.map((attributes) => whole(wrap({ attributes }))),
    'wrapped, with half a surrogate pair in an attribute': fc
      .constantFrom({ a: '\ud800' }, { '\udc00': 'x' }, { batch: 'x\ud800' }, { 'pb-reason': '\udc00\ud800' })
      .map((attributes) => whole(wrap({ attributes }))),
    'wrapped, with our attributes': anyOurAttributes.map(([name, value]) =>
      whole(wrap({ attributes: { [name]: value } })),
    ),
    'wrapped, with huge attributes': fc
      .constantFrom(
        Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`name-${n}`, 'x'])),
        { huge: 'é'.repeat(100_000) },
        { ['n'.repeat(10_000)]: 'x' },
        { batch: 'x'.repeat(100_000), 'pb-run': '9'.repeat(100_000) },
        { 'pb-reason': 'x'.repeat(100_000), 'pb-error': '\ud800'.repeat(2_000), 'pb-code': '\0' },
      )
      .map((attributes) => whole(wrap({ attributes }))),
    'wrapped, with hostile metadata': fc
      .tuple(anyHostileText, fc.oneof(anyTime, anyHostileText), anyWrongValue)
      .map(([messageId, publishTime, deliveryAttempt]) => {
        const text = wrap({ messageId, publishTime }, { deliveryAttempt })
        return whole(text, [data, Buffer.from(text)])
      }),
    'wrapped deep': fc
      .constantFrom(100, 100_000)
      .map((depth) => whole(`${wrap({}).slice(0, -1)},"x":${'['.repeat(depth)}${']'.repeat(depth)}}`)),
    'wrapped twice': fc.constant(whole(`{"message":{"data":"e30="},"message":${JSON.stringify({ data: base64 })}}`)),
    'bad base64': fc.constantFrom('!', ' ', '\n', '=', '====', '\0', 'é', '"', '\ud800').map((bad) => {
      const text = `${base64}${bad}`
      return whole(wrap({}, {}, text), [Buffer.from(text)])
    }),
    base64url: fc.constant(data.toString('base64url')).map((text) => {
      const isBase64 = text.length % 4 === 0 && !/[-_]/.test(text)
      return whole(wrap({}, {}, text), [isBase64 ? data : Buffer.from(text)])
    }),
    'of wrong types': anyWrongMessage.map((message) => {
      const text = hostileJson({ message })
      return whole(text, [...readingsOf(message), Buffer.from(text)])
    }),
    'in a prototype': fc.constant(asItIs([JSON_TYPE], Buffer.from(`{"__proto__":${wrap({})}}`))),
    unwrapped: fc.constant(asItIs(['x-goog-pubsub-message-id: 7', JSON_TYPE])),
    'unwrapped, with our attributes': anyOurAttributes.map(([name, value]) =>
      asItIs(['x-goog-pubsub-message-id: 7', `${name}: ${headerText(value)}`]),
    ),
    'neither wrapped nor unwrapped': fc.constant(asItIs([JSON_TYPE])),
    'of a wrong content type': anyType.map((type) =>
      whole(wrap({}), [data], type === '' ? [] : [`content-type: ${type}`]),
    ),
    'said to be gzip': fc.constant(whole(wrap({}), [data], [JSON_TYPE, 'content-encoding: gzip'])),
    gzip: fc.constant(asItIs([JSON_TYPE, 'content-encoding: gzip'], gzipSync(wrap({})))),
  })
  return mostly(usual, unusual)
}

/** What the data of such a message may be taken for. */
function readingsOf(message: unknown): Buffer[] {
  const text = z.object({ data: z.string() }).safeParse(message).data?.data ?? ''
  return [Buffer.from(text), Buffer.from(text, 'base64')]
}

/** What a header may hold, byte by byte. */
function headerText(text: string): string {
  return text.replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, '?')
}
