import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { deadLetterAttributes, writePush } from '../../local/pubsub-push/push-request.ts'
import { subscriptionsSchema } from '../../local/pubsub-push/settings.ts'

const basic = { name: 'projects/p/subscriptions/jobs', topic: 'jobs', endpoint: 'http://127.0.0.1:1/push' }
const deadLetter = { topic: 'dead' }
const settings = (more: Partial<Parameters<typeof subscriptionsSchema.parse>[0]> = {}) => {
  const [parsed] = subscriptionsSchema.parse([{ ...basic, ...more }])
  assert.ok(parsed)
  return parsed
}
const message = {
  id: '7',
  attempt: 3,
  publishedAt: Date.parse('2026-11-23T12:00:00.250Z'),
  attributes: { batch: 'b' },
  data: Buffer.from('{}'),
}
const body = (push: { readonly body: Uint8Array }): unknown => JSON.parse(Buffer.from(push.body).toString())

describe('a wrapped push', () => {
  test('is the documented envelope, each name twice', () => {
    const push = writePush(message, settings())
    assert.deepEqual(push.headers, { 'content-type': 'application/json' })
    assert.deepEqual(body(push), {
      message: {
        attributes: { batch: 'b' },
        data: 'e30=',
        messageId: '7',
        message_id: '7',
        publishTime: '2026-11-23T12:00:00.250Z',
        publish_time: '2026-11-23T12:00:00.250Z',
      },
      subscription: 'projects/p/subscriptions/jobs',
    })
  })

  test('has the delivery attempt only with a dead-letter policy', () => {
    const push = writePush({ ...message, attributes: {} }, settings({ deadLetter }))
    assert.partialDeepStrictEqual(body(push), { deliveryAttempt: 3 })
  })
})

describe('an unwrapped push', () => {
  test('is the bare data, with metadata and attributes as headers', () => {
    const push = writePush(message, settings({ wrapped: false, deadLetter }))
    assert.equal(Buffer.from(push.body).toString(), '{}')
    assert.deepEqual(push.headers, {
      batch: 'b',
      'x-goog-pubsub-subscription-name': 'projects/p/subscriptions/jobs',
      'x-goog-pubsub-message-id': '7',
      'x-goog-pubsub-publish-time': '2026-11-23T12:00:00.250Z',
      'x-goog-pubsub-delivery-attempt': '3',
    })
  })

  test('an attribute cannot take the place of metadata', () => {
    const forged = { ...message, attributes: { 'X-Goog-Pubsub-Message-Id': '666' } }
    assert.equal(writePush(forged, settings({ wrapped: false })).headers['x-goog-pubsub-message-id'], '7')
  })
})

test('a dead-lettered message keeps its attributes and names its source', () => {
  assert.deepEqual(deadLetterAttributes(message, 5, settings()), {
    batch: 'b',
    CloudPubSubDeadLetterSourceDeliveryCount: '5',
    CloudPubSubDeadLetterSourceSubscription: 'jobs',
    CloudPubSubDeadLetterSourceSubscriptionProject: 'p',
    CloudPubSubDeadLetterSourceTopicPublishTime: '2026-11-23T12:00:00.250Z',
  })
})

describe('settings', () => {
  test('have Pub/Sub’s defaults', () => {
    assert.deepEqual(settings({ deadLetter }), {
      ...basic,
      alsoAt: [],
      wrapped: true,
      ackDeadlineMs: 10_000,
      retry: { minBackoffMs: 10_000, maxBackoffMs: 600_000 },
      deadLetter: { topic: 'dead', maxAttempts: 100 },
      flow: { minOutstanding: 1, maxOutstanding: 1_000, minBackoffMs: 100, maxBackoffMs: 60_000 },
    })
  })

  test('out of Pub/Sub’s bounds are refused', () => {
    const wrong = [
      { deadLetter: { topic: 'dead', maxAttempts: 4 } },
      { deadLetter: { topic: 'dead', maxAttempts: 101 } },
      { ackDeadlineMs: 600_001 },
      { name: 'jobs' },
    ]
    for (const more of wrong) assert.throws(() => settings(more), { name: 'ZodError' })
  })

  test('two subscriptions of one topic are refused', () => {
    assert.throws(() => subscriptionsSchema.parse([basic, { ...basic, name: `${basic.name}-2` }]), { name: 'ZodError' })
  })
})
