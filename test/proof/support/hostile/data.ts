import fc from 'fast-check'
import { CANARY } from '../../../support/canary.ts'
import { anyHostileText, anyOf, anyWrongValue, hostileJson, type Named } from './kinds.ts'

/** What a message may hold. */
export type HostileData = Named<{ readonly data: Buffer }>

const prompt = `Summarise: Bridges carry the ${CANARY} over water, in all weathers.`
const url = '/v1/chat/completions'
const messages = [{ role: 'user', content: prompt }]

/** No two messages are alike, but for those that are made alike. */
const anyMark = fc.nat(0xffff_ffff).map((n) => `doc-${n.toString(16)}`)
const aRequest = (id: unknown, body: object = { messages }) => ({ id, url, body })
const asData = (text: string) => ({ data: Buffer.from(text) })
const json = (value: unknown) => asData(hostileJson(value))

const anyMetadata = fc.array(fc.tuple(anyHostileText, fc.oneof(anyHostileText, anyWrongValue)), { maxLength: 20 })
const anyField = fc.constantFrom(
  ...['id', 'custom_id', 'method', 'url', 'body', 'batch', 'deadline', 'metadata', 'model', 'prompt', 'x'],
)
const anyBodyField = fc.constantFrom(
  ...['model', 'messages', 'stream', 'background', 'max_tokens', 'max_completion_tokens', 'max_output_tokens', 'n'],
  ...['temperature', 'logprobs', 'top_logprobs', 'tools', 'response_format', 'input', 'dimensions', 'metadata', 'stop'],
  ...['store', 'service_tier', 'data_sources', 'best_of', 'instructions'],
)
const anyDeadline = fc.oneof(
  fc.constantFrom('0000-01-01T00:00:00Z', '9999-12-31T23:59:59.999+14:00', '2026-02-30T00:00:00Z', '+275760-09-13'),
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
)
const deepText = (open: string, close: string) =>
  fc.constantFrom(10, 98, 99, 100, 101, 5_000, 100_000).map((depth) => open.repeat(depth) + close.repeat(depth))

export const anyHostileData: fc.Arbitrary<HostileData> = anyOf({
  'a job': anyMark.map((id) => json({ id, prompt })),
  'a job of a few': fc.nat(50).map((n) => json({ id: `few-${n}`, prompt })),
  'a few ids, any payload': fc
    .tuple(fc.nat(20), anyMark)
    .map(([n, x]) => json({ id: `shared-${n}`, prompt: prompt + x })),
  'hostile names': fc
    .tuple(anyMark, anyHostileText, anyHostileText, anyHostileText)
    .map(([mark, id, batch, model]) => json({ id, batch, model, prompt: prompt + mark })),
  'a hostile prompt': fc.tuple(anyMark, anyHostileText).map(([id, text]) => json({ id, prompt: prompt + text })),
  'hostile metadata': fc
    .tuple(anyMark, anyMetadata)
    .map(([id, entries]) => json({ id, prompt, metadata: Object.fromEntries(entries) })),
  'a field of a wrong type': fc
    .tuple(anyMark, anyField, anyWrongValue)
    .map(([id, field, value]) => json({ ...aRequest(id), [field]: value })),
  'a field of a wrong type in the body': fc
    .tuple(anyMark, anyBodyField, anyWrongValue, fc.constantFrom('/v1/responses', '/v1/embeddings', url))
    .map(([id, field, value, to]) => json({ ...aRequest(id, { messages, input: prompt, [field]: value }), url: to })),
  'any body': fc
    .tuple(anyMark, fc.dictionary(anyBodyField, fc.jsonValue({ maxDepth: 3 })))
    .map(([id, body]) => json(aRequest(id, body))),
  'a hostile deadline': fc.tuple(anyMark, anyDeadline).map(([id, deadline]) => json({ id, prompt, deadline })),
  'a duplicate key': fc
    .tuple(anyMark, anyMark)
    .map(([a, b]) => asData(`{"id":"${a}","id":"${b}","prompt":7,"prompt":${JSON.stringify(prompt)}}`)),
  'a prototype': anyMark.map((id) =>
    asData(`{"id":"${id}","url":"${url}","body":{"__proto__":{"x":1}},"__proto__":{"id":"y"},"constructor":{}}`),
  ),
  'deep lists': fc
    .tuple(anyMark, deepText('[', ']'))
    .map(([id, deep]) => asData(`{"id":"${id}","url":"${url}","body":{"messages":${deep}}}`)),
  'deep objects': fc
    .tuple(
      anyMark,
      deepText('{"a":', '}').map((text) => text.replace(':}', ':1}')),
    )
    .map(([id, deep]) => asData(`{"id":"${id}","prompt":"x","metadata":${deep}}`)),
  'JSON of no job': fc.tuple(anyMark, fc.json()).map(([mark, text]) => asData(`[${text},"${mark}"]`)),
  'no JSON': fc.tuple(anyMark, anyHostileText).map(([mark, text]) => asData(`${mark} ${prompt} ${text}`)),
  'a job cut in two': fc
    .tuple(anyMark, fc.nat(80))
    .map(([id, at]) => asData(JSON.stringify({ id, prompt }).slice(0, -1 - at))),
  'a job with a changed byte': fc.tuple(anyMark, fc.nat(60), fc.nat(255)).map(([id, at, byte]) => {
    const data = Buffer.from(JSON.stringify({ id, prompt }))
    data[at] = byte
    return { data }
  }),
  'any bytes': fc
    .tuple(fc.uint8Array({ maxLength: 60 }), anyMark)
    .map(([bytes, mark]) => ({ data: Buffer.concat([bytes, Buffer.from(mark)]) })),
  nothing: fc.constant({ data: Buffer.alloc(0) }),
})
