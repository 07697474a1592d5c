import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { checkLimits } from '../../shared/queues/message-limits.ts'
import { claimedCause, type DeadLetterCause, deadLetterMessage } from '../../worker/dead-letters/message.ts'

const data = Buffer.from('{"prompt":"Summarise: …"}')
const cause: DeadLetterCause = { reason: 'invalid', message: 'the data is not JSON' }
const attributesOf = (attributes: Record<string, string>, over: Partial<DeadLetterCause> = {}) =>
  deadLetterMessage({ data, attributes }, { ...cause, ...over }).attributes

const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`a${n}`, 'x']))

describe('a dead letter', () => {
  test('is the message as it came, and says why it failed', () => {
    const came = { data, attributes: { batch: 'nightly' } }
    const why = { reason: 'rejected', message: 'refused', code: 'content_filter', hint: 'Change it.', key: 'k' }
    assert.deepEqual(deadLetterMessage(came, why), {
      data,
      attributes: {
        batch: 'nightly',
        'pb-reason': 'rejected',
        'pb-error': 'refused',
        'pb-code': 'content_filter',
        'pb-hint': 'Change it.',
        'pb-key': 'k',
      },
    })
  })

  test('says nothing of what is not known', () => {
    assert.deepEqual(attributesOf({}), { 'pb-reason': 'invalid', 'pb-error': 'the data is not JSON' })
  })

  test('does not carry on what an earlier dead letter said', () => {
    const earlier = { 'pb-reason': 'rejected', 'pb-code': 'old', 'pb-hint': 'old', 'pb-key': 'old', 'pb-run': '2' }
    assert.deepEqual(attributesOf(earlier), { ...attributesOf({}), 'pb-run': '2' })
  })

  test('does not look like a message that Pub/Sub forwarded, whatever its sender wrote', () => {
    const marks = { CloudPubSubDeadLetterSourceDeliveryCount: '100', CloudPubSubDeadLetterX: '' }
    assert.deepEqual(attributesOf({ ...marks, batch: 'nightly' }), { ...attributesOf({}), batch: 'nightly' })
  })
})

describe('what a message of the dead-letter topic claims', () => {
  const claims = {
    'pb-reason': 'rejected',
    'pb-error': 'refused',
    'pb-code': 'content_filter',
    'pb-hint': 'Send money.',
  }

  test('is a reason, a text and a code, and never how to fix it', () => {
    assert.deepEqual(claimedCause(claims), { reason: 'rejected', message: 'refused', code: 'content_filter' })
    assert.deepEqual(claimedCause({ 'pb-reason': '' }), { reason: '', message: '', code: undefined })
  })

  test('is nothing without a reason', () => {
    const { 'pb-reason': _, ...others } = claims
    assert.equal(claimedCause(others), undefined)
  })

  for (const mark of ['SourceTopicPublishTime', 'SourceDeliveryCount', 'SourceSubscription', 'OfALaterVersion']) {
    test(`is nothing where Pub/Sub forwarded it with CloudPubSubDeadLetter${mark}`, () => {
      assert.equal(claimedCause({ ...claims, [`CloudPubSubDeadLetter${mark}`]: '' }), undefined)
    })
  }
})

describe('an attribute that says why', () => {
  const bytes = (text: string | undefined) => Buffer.byteLength(text ?? '')

  test('is whole up to 1,024 bytes', () => {
    assert.equal(attributesOf({}, { message: 'x'.repeat(1_024) })['pb-error']?.length, 1_024)
    assert.equal(attributesOf({}, { message: 'x'.repeat(1_025) })['pb-error']?.length, 1_024)
  })

  for (const [name, character] of [
    ['two', 'é'],
    ['three', '…'],
    ['four', '🌉'],
  ] as const) {
    test(`is cut before a character of ${name} bytes that no longer fits, never inside it`, () => {
      const cut = attributesOf({}, { message: `${'x'.repeat(1_023)}${character}y` })['pb-error']
      assert.equal(cut, 'x'.repeat(1_023))
    })
  }

  test('fits, is well formed, and is a beginning of what was said, whatever that was', () => {
    const end = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
    fc.assert(
      fc.property(fc.integer({ min: 1_000, max: 1_024 }), end, (length, text) => {
        const message = 'x'.repeat(length) + text
        const cut = attributesOf({}, { message })['pb-error'] ?? ''
        assert.ok(cut.isWellFormed() && bytes(cut) <= 1_024 && message.startsWith(cut))
      }),
    )
  })
})

describe("Pub/Sub's hundred attributes", () => {
  test('are kept to: those that say why come first, then as many others as fit', () => {
    const full = attributesOf(many(100), { code: 'c', hint: 'h', key: 'k' })
    assert.equal(Object.keys(full).length, 100)
    assert.equal(Object.keys(full).filter((name) => name.startsWith('pb-')).length, 5)
    assert.equal(Object.keys(attributesOf(many(98))).length, 100)
    assert.equal(Object.keys(attributesOf(many(97))).length, 99)
  })

  test('are not made fewer by an earlier dead letter', () => {
    const full = attributesOf({ ...many(95), 'pb-reason': 'x', 'pb-error': 'x', 'pb-code': 'x' }, { key: 'k' })
    assert.equal(Object.keys(full).filter((name) => name.startsWith('a')).length, 95)
  })

  test('never make a message that the topic refuses', () => {
    const attributes = fc.dictionary(fc.string({ minLength: 1, maxLength: 60 }), fc.string({ maxLength: 300 }), {
      maxKeys: 100,
    })
    fc.assert(
      fc.property(attributes, fc.string({ maxLength: 3_000 }), (carried, message) => {
        checkLimits(deadLetterMessage({ data, attributes: carried }, { ...cause, message }))
      }),
    )
  })
})
