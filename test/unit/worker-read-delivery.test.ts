import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { parseJob } from '../../shared/job/parse-job.ts'
import type { Delivery } from '../../worker/delivery/delivery.ts'
import { parseDelivery } from '../../worker/http/parse-delivery.ts'
import { sha256 } from '../support/job-builders.ts'

const ARRIVED = Date.UTC(2026, 10, 24, 6)
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
/** Of a message without a publish time. */
const NO_TIME = { publishedAt: undefined }
const job = '{"prompt":"Summarise: …"}'
const base64 = (data: string | Uint8Array) => Buffer.from(data).toString('base64')

const readBytes = (body: Uint8Array, headers: Record<string, string> = {}) =>
  parseDelivery(new Headers(headers), body, ARRIVED)
const readText = (body: string, headers?: Record<string, string>) => readBytes(Buffer.from(body), headers)
const readJson = (body: object, headers?: Record<string, string>) => readText(JSON.stringify(body), headers)

/** The delivery of a wrapped push whose message and envelope have these fields. */
function wrapped(message: object, envelope: object = {}): Delivery {
  const read = readJson({ message: { data: base64(job), ...message }, ...envelope })
  assert.ok(read.ok)
  return read.delivery
}

const textOf = ({ data }: Delivery) => Buffer.from(data).toString()

describe('a wrapped push', () => {
  test('is read to its last field', () => {
    const attributes = { 'pb-run': '2', traceparent: TRACE }
    const message = { data: base64(job), attributes, messageId: '17', publishTime: '2026-11-24T05:59:59Z' }
    const read = readJson({ message, subscription: 'projects/p/subscriptions/s', deliveryAttempt: 3 })
    assert.deepEqual(read, {
      ok: true,
      delivery: {
        messageId: '17',
        data: Buffer.from(job),
        attributes,
        deliveryAttempt: 3,
        publishedAt: ARRIVED - 1_000,
        traceparent: TRACE,
        arrivedAt: ARRIVED,
      },
    })
  })

  const DROPPED = { none: null, list: ['a'], map: {} }
  const published = '2026-11-24T05:59:59Z'
  for (const [what, message, expected] of [
    ['may name its id message_id', { message_id: '18' }, { messageId: '18' }],
    ['may name its id by a number', { message_id: 17 }, { messageId: '17' }],
    ['may name its publish time in the other style', { publish_time: published }, { publishedAt: ARRIVED - 1_000 }],
    [
      'has of its attributes those that can be read as text',
      { attributes: { batch: 'nightly', 'pb-run': 2, urgent: true, ...DROPPED } },
      { attributes: { batch: 'nightly', 'pb-run': '2', urgent: 'true' } },
    ],
    ...['yesterday', '', 7, null].map(
      (publishTime) =>
        [`has no publish time that is ${JSON.stringify(publishTime)}`, { publishTime }, NO_TIME] as const,
    ),
    ...[null, [], ['a'], 'a', 7, true].map(
      (attributes) =>
        [`with ${JSON.stringify(attributes)} for its attributes has none`, { attributes }, { attributes: {} }] as const,
    ),
  ] as const) {
    test(what, () => assert.partialDeepStrictEqual(wrapped(message), { ...NO_TIME, ...expected }))
  }

  for (const [given, attempt] of [
    [3, 3],
    ['3', 3],
    ...[3.5, 0, -1, 1e300, '', 'many', null, [3], {}].map((odd) => [odd, undefined] as const),
  ] as const) {
    test(`with the delivery attempt ${JSON.stringify(given)} is in its attempt ${attempt ?? 'unknown'}`, () => {
      assert.equal(wrapped({}, { deliveryAttempt: given }).deliveryAttempt, attempt)
    })
  }

  for (const [what, data] of [
    ['no data, no attributes and no delivery attempt', {}],
    ['null for its data', { data: null }],
  ] as const) {
    test(`may have ${what}`, () => {
      const { ok, delivery } = readJson({ message: { ...data, messageId: '19' } })
      assert.equal(ok, true)
      assert.deepEqual([delivery.data.byteLength, delivery.attributes, delivery.deliveryAttempt], [0, {}, undefined])
    })
  }

  test('may begin with a byte order mark', () => {
    const read = readText(`﻿${JSON.stringify({ message: { data: base64(job), messageId: '17' } })}`)
    assert.ok(read.ok)
    assert.deepEqual([textOf(read.delivery), read.delivery.messageId], [job, '17'])
  })

  test('may have null for each field that is not its message', () => {
    const fields = ['attributes', 'messageId', 'message_id', 'publishTime', 'publish_time', 'orderingKey']
    const nothing = Object.fromEntries(fields.map((field) => [field, null]))
    const delivery = wrapped(nothing, { subscription: null, deliveryAttempt: null })
    assert.equal(textOf(delivery), job)
    assert.partialDeepStrictEqual(delivery, { attributes: {}, messageId: '', deliveryAttempt: undefined, ...NO_TIME })
  })

  test('brings any bytes whole', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (data) => {
        assert.deepEqual(new Uint8Array(wrapped({ data: base64(data) }).data), data)
      }),
    )
  })

  test('is traced by its attributes before the request itself', () => {
    const other = TRACE.replace('-01', '-00')
    const googles = { message: { attributes: { googclient_traceparent: TRACE } } }
    assert.equal(readJson(googles, { traceparent: other }).delivery.traceparent, TRACE)
    assert.equal(readJson({ message: {} }, { traceparent: other }).delivery.traceparent, other)
  })
})

describe('a wrapped push that is poison', () => {
  for (const [why, data] of [
    ['is not base64', 'not base64!'],
    [
      'is base64url, which Pub/Sub never sends',
      base64(Uint8Array.of(251, 255, 254))
        .replaceAll('+', '-')
        .replaceAll('/', '_'),
    ],
    ['lacks its padding', base64('ab').replaceAll('=', '')],
  ] as const) {
    test(`has data that ${why}, and keeps it as it came`, () => {
      const read = readJson({ message: { data, messageId: '20', attributes: { batch: 'nightly' } } })
      assert.ok(!read.ok)
      assert.equal(read.problem, 'message.data is not base64')
      assert.equal(textOf(read.delivery), data)
      assert.deepEqual([read.delivery.messageId, read.delivery.attributes], ['20', { batch: 'nightly' }])
    })
  }

  for (const [at, envelope] of [
    ['message', { message: null }],
    ['message', { message: 'canary' }],
    ['message.data', { message: { data: 7 } }],
  ] as const) {
    test(`is of the wrong shape at ${at}: the problem names the field, and the whole body is kept`, () => {
      const read = readJson(envelope)
      assert.ok(!read.ok)
      assert.equal(read.problem, `the push is malformed: ${at}`)
      assert.equal(textOf(read.delivery), JSON.stringify(envelope))
    })
  }
})

test('a push of more attributes than can be is not parsed: what came is kept whole, and is no job', () => {
  const push = (count: number) => {
    const attributes = Object.fromEntries(Array.from({ length: count }, (_, n) => [`name-${n}`, 'x']))
    return { message: { data: base64(job), attributes } }
  }
  assert.equal(Object.keys(readJson(push(9_000)).delivery.attributes).length, 9_000)
  for (const count of [10_001, 450_000]) {
    const envelope = push(count)
    const read = readJson(envelope)
    assert.equal(textOf(read.delivery), JSON.stringify(envelope))
    assert.deepEqual(read.delivery.attributes, {})
    assert.equal(parseJob(read.delivery.data, {}, sha256).ok, false)
  }
})

describe('an unwrapped push', () => {
  test('has its metadata in headers', () => {
    const { ok, delivery } = readText(job, {
      'x-goog-pubsub-message-id': '21',
      'x-goog-pubsub-delivery-attempt': '4',
      'x-goog-pubsub-publish-time': '2026-11-24T05:59:59.5Z',
      'pb-run': '2',
      batch: 'nightly',
      traceparent: TRACE,
      'x-forwarded-for': '10.0.0.7',
    })
    assert.equal(ok, true)
    const attributes = { 'pb-run': '2', batch: 'nightly', traceparent: TRACE }
    assert.deepEqual(
      { ...delivery, data: undefined },
      {
        messageId: '21',
        data: undefined,
        attributes,
        deliveryAttempt: 4,
        publishedAt: ARRIVED - 500,
        traceparent: TRACE,
        arrivedAt: ARRIVED,
      },
    )
  })

  test('of a dead letter says why it is one, whether Pub/Sub or the worker made it', () => {
    const given = { 'pb-reason': 'rejected', 'pb-error': 'refused', 'pb-code': 'c', 'pb-hint': 'h', 'pb-key': 'k' }
    const forwarded = {
      'pb-first-published': '2026-11-23T06:00:00.000Z',
      CloudPubSubDeadLetterSourceTopicPublishTime: '2026-11-24T05:00:00Z',
    }
    const attributes = { ...given, ...forwarded }
    const sent = Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name.toLowerCase(), value]))
    assert.deepEqual(readText(job, { ...sent, 'x-goog-pubsub-message-id': '24' }).delivery.attributes, attributes)
  })

  test('without metadata is known by being no envelope', () => {
    const read = readText(job)
    assert.ok(read.ok)
    assert.equal(textOf(read.delivery), job)
    assert.deepEqual([read.delivery.messageId, read.delivery.deliveryAttempt], ['', undefined])
  })

  test('with metadata is one even when its data looks like an envelope', () => {
    const data = JSON.stringify({ message: { data: base64('inner') } })
    const read = readText(data, { 'x-goog-pubsub-message-id': '22' })
    assert.ok(read.ok)
    assert.equal(textOf(read.delivery), data)
  })

  for (const attempt of ['many', '', '0', '1.5']) {
    test(`has no delivery attempt when the header is ${JSON.stringify(attempt)}`, () => {
      const headers = { 'x-goog-pubsub-message-id': '23', 'x-goog-pubsub-delivery-attempt': attempt }
      assert.equal(readText(job, headers).delivery.deliveryAttempt, undefined)
    })
  }

  for (const body of ['not JSON', '[]', 'null', '"message"', '']) {
    test(`is what ${JSON.stringify(body)} is parsed as; whether it is a job is checked elsewhere`, () => {
      const read = readText(body)
      assert.ok(read.ok)
      assert.equal(textOf(read.delivery), body)
    })
  }

  test('of bytes that are no text is kept byte by byte', () => {
    const bytes = Uint8Array.of(0, 255, 254, 128)
    assert.deepEqual(readBytes(bytes).delivery.data, bytes)
  })
})
