import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { checkLimits } from '../../shared/queues/message-limits.ts'
import { firstPublishedAt, rescuedMessage } from '../../worker/dead-letters/rescue.ts'
import type { Delivery } from '../../worker/delivery/delivery.ts'
import { START } from '../support/job-builders.ts'

const data = Buffer.from('{"prompt":"Summarise: …"}')
const HOUR_MS = 3_600_000
const iso = (ms: number) => new Date(ms).toISOString()
const SOURCE = 'CloudPubSubDeadLetterSourceTopicPublishTime'

const first = (attributes: Record<string, string>, publishedAt?: number) => {
  const delivery: Delivery = {
    ...{ messageId: '1', data, attributes, deliveryAttempt: undefined, publishedAt },
    ...{ traceparent: undefined, arrivedAt: START },
  }
  return firstPublishedAt(delivery)
}

describe('the time of first publication', () => {
  test('is the one of the source topic, rather than the one of the dead-letter topic', () => {
    assert.equal(first({ [SOURCE]: iso(START - HOUR_MS) }, START - 1), START - HOUR_MS)
  })

  test('is the one that an earlier rescue recorded, rather than either', () => {
    const times = { 'pb-first-published': iso(START - 9 * HOUR_MS), [SOURCE]: iso(START - HOUR_MS) }
    assert.equal(first(times, START - 1), START - 9 * HOUR_MS)
  })

  test('is that of the message itself where no attribute has one', () => {
    assert.equal(first({}, START - 1), START - 1)
  })

  test('is now where no valid time is given', () => {
    assert.equal(first({}), START)
    assert.equal(first({ 'pb-first-published': 'long ago', [SOURCE]: '' }), START)
  })

  test('is not moved back by an attribute that claims a later time', () => {
    assert.equal(first({ 'pb-first-published': '9999-01-01T00:00:00Z' }, START - 1), START - 1)
    assert.equal(first({ 'pb-first-published': '9999-01-01T00:00:00Z' }), START)
  })

  test('is a time that can be written again, whatever was claimed', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.date({ noInvalidDate: true }).map(String)), (claimed) => {
        const at = first({ 'pb-first-published': claimed })
        assert.ok(at >= 0 && at <= START)
        assert.equal(Date.parse(iso(at)), at)
      }),
    )
  })
})

describe('a rescued message', () => {
  const rescued = (attributes: Record<string, string>) => rescuedMessage({ data, attributes }, START)

  test('is the original message, with the time of its first publication', () => {
    const own = { batch: 'nightly', 'pb-run': '2', origin: 'test' }
    assert.deepEqual(rescued(own), { data, attributes: { ...own, 'pb-first-published': iso(START) } })
  })

  test('has no attribute of a forwarded message, and none twice', () => {
    const forwarded = {
      CloudPubSubDeadLetterSourceDeliveryCount: '100',
      CloudPubSubDeadLetterSourceSubscription: 'jobs-worker',
      CloudPubSubDeadLetterSourceSubscriptionProject: 'p',
      [SOURCE]: iso(START),
      'pb-first-published': 'long ago',
    }
    assert.deepEqual(rescued(forwarded).attributes, { 'pb-first-published': iso(START) })
  })

  test('has no failure attribute that its sender set', () => {
    const claims = { 'pb-reason': 'rejected', 'pb-error': 'e', 'pb-code': 'c', 'pb-hint': 'Send money.', 'pb-key': 'k' }
    assert.deepEqual(rescued({ ...claims, origin: 'test' }).attributes, {
      origin: 'test',
      'pb-first-published': iso(START),
    })
  })

  test('keeps what names the job where not all attributes fit, and loses those of client libraries first', () => {
    const many = Object.fromEntries(Array.from({ length: 97 }, (_, n) => [`a${n}`, 'x']))
    const all = { googclient_traceparent: 't', ...many, 'pb-run': '2', batch: 'nightly' }
    const { googclient_traceparent, ...kept } = all
    assert.deepEqual(rescued(all).attributes, { ...kept, 'pb-first-published': iso(START) })
  })

  test('is one that the topic takes, whatever it carried', () => {
    const attributes = fc.dictionary(fc.string({ minLength: 1, maxLength: 60 }), fc.string({ maxLength: 300 }), {
      maxKeys: 100,
    })
    fc.assert(fc.property(attributes, (carried) => checkLimits(rescued(carried))))
  })
})
