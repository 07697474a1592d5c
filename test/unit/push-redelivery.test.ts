import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type Answer, backoffMs, decideFate, decideSpent } from '../../local/pubsub-push/redelivery.ts'

const retry = { minBackoffMs: 10_000, maxBackoffMs: 600_000 }
const deadLetter = { topic: 'dead', maxAttempts: 5 }

describe('the fate of a delivered message', () => {
  test('an acknowledged one is done, however often it was tried', () => {
    assert.deepEqual(decideFate('acked', 99, 0, { retry, deadLetter }), { kind: 'done' })
  })

  test('a nacked one is due after the minimum backoff, which doubles with each attempt', () => {
    const dueAt = [1, 2, 3].map((attempt) => decideFate('nacked', attempt, 1_000, { retry }))
    assert.deepEqual(dueAt, [
      { kind: 'retry', dueAt: 11_000 },
      { kind: 'retry', dueAt: 21_000 },
      { kind: 'retry', dueAt: 41_000 },
    ])
  })

  test('one whose ack was lost is due at once', () => {
    assert.deepEqual(decideFate('lost', 1, 1_000, { retry }), { kind: 'retry', dueAt: 1_000 })
  })

  test('one that was cut off is due at once, even at its last attempt', () => {
    assert.deepEqual(decideFate('cut', 5, 1_000, { retry, deadLetter }), { kind: 'retry', dueAt: 1_000 })
  })

  test('the last allowed attempt dead-letters, and not the one before', () => {
    assert.equal(decideFate('nacked', 4, 0, { retry, deadLetter }).kind, 'retry')
    assert.deepEqual(decideFate('nacked', 5, 0, { retry, deadLetter }), {
      kind: 'dead-letter',
      topic: 'dead',
      deliveries: 5,
    })
  })

  test('without a dead-letter policy no attempt is the last', () => {
    assert.equal(decideFate('nacked', 1_000_000, 0, { retry }).kind, 'retry')
  })

  test('a message whose last attempt was lost has its attempts used up before the next', () => {
    assert.equal(decideSpent(5, { retry, deadLetter }), undefined)
    assert.deepEqual(decideSpent(6, { retry, deadLetter }), { kind: 'dead-letter', topic: 'dead', deliveries: 5 })
    assert.equal(decideSpent(6, { retry }), undefined)
  })
})

test('without a minimum backoff even the thousandth attempt is due at once', () => {
  assert.equal(backoffMs(2_000, { minBackoffMs: 0, maxBackoffMs: 600_000 }), 0)
})

describe('whatever the policy', () => {
  const policies = fc.record({ minBackoffMs: fc.integer({ min: 0, max: 600_000 }), maxBackoffMs: fc.nat(600_000) })
  const attempts = fc.integer({ min: 1, max: 5_000 })

  test('a backoff never passes the maximum and never shrinks', () => {
    fc.assert(
      fc.property(policies, attempts, (policy, attempt) => {
        const [now, next] = [backoffMs(attempt, policy), backoffMs(attempt + 1, policy)]
        assert.ok(now <= next && next <= policy.maxBackoffMs)
      }),
    )
  })

  test('a message that is never acknowledged is dead-lettered at exactly its maximum of attempts', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 5, max: 100 }),
        fc.array(fc.constantFrom<Answer>('nacked', 'lost')),
        (max, seen) => {
          const policy = { retry, deadLetter: { topic: 'dead', maxAttempts: max } }
          const kinds = Array.from({ length: max }, (_, n) => decideFate(seen[n] ?? 'nacked', n + 1, 0, policy).kind)
          assert.equal(kinds.indexOf('dead-letter'), max - 1)
        },
      ),
    )
  })
})
