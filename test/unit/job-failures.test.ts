import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  afterFailure,
  type FailureKind,
  failureKinds,
  mayAskAgain,
  type RetryPolicy,
} from '../../shared/job/failures.ts'

const retrying: RetryPolicy = { maxAttempts: 5, onUnknown: 'retry' }
const cautious: RetryPolicy = { maxAttempts: 5, onUnknown: 'dead-letter' }

interface Expected {
  readonly next: 'end' | 'again'
  readonly counts: boolean
  readonly askAgain: boolean
}

/** Written out a second time, so that no row of the table changes unseen. */
const expected: Readonly<Record<FailureKind, Expected>> = {
  invalid: { next: 'end', counts: false, askAgain: false },
  conflict: { next: 'end', counts: false, askAgain: false },
  expired: { next: 'end', counts: false, askAgain: false },
  token: { next: 'again', counts: false, askAgain: false },
  unauthorized: { next: 'again', counts: false, askAgain: true },
  forbidden: { next: 'again', counts: false, askAgain: false },
  no_deployment: { next: 'end', counts: false, askAgain: false },
  rejected: { next: 'end', counts: true, askAgain: false },
  throttled: { next: 'again', counts: false, askAgain: true },
  budget: { next: 'end', counts: false, askAgain: false },
  unreachable: { next: 'again', counts: false, askAgain: true },
  oversized: { next: 'end', counts: true, askAgain: false },
  ambiguous: { next: 'again', counts: true, askAgain: false },
  store: { next: 'again', counts: false, askAgain: false },
  busy: { next: 'again', counts: false, askAgain: false },
  draining: { next: 'again', counts: false, askAgain: false },
}

describe('what each kind of failure does to a job with attempts left', () => {
  for (const kind of failureKinds) {
    const { next, counts, askAgain } = expected[kind]
    const fate = next === 'end' ? 'ends the job' : 'leaves the job to be tried again'

    test(`${kind} ${fate}, ${counts ? 'counts' : 'does not count'}, ${askAgain ? 'may' : 'may not'} be asked again at once`, () => {
      const consequence = next === 'end' ? { next, counts, reason: kind } : { next, counts }
      assert.deepEqual(afterFailure(kind, 0, retrying), consequence)
      assert.equal(mayAskAgain(kind), askAgain)
    })
  }
})

test('an ambiguous failure is tried again while one attempt is left, and ends the job with the last', () => {
  assert.deepEqual(afterFailure('ambiguous', 3, retrying), { next: 'again', counts: true })
  assert.deepEqual(afterFailure('ambiguous', 4, retrying), { next: 'end', counts: true, reason: 'max_attempts' })
})

test('a job that has more attempts behind it than it may have ends, too', () => {
  assert.deepEqual(afterFailure('ambiguous', 9, retrying), { next: 'end', counts: true, reason: 'max_attempts' })
})

test('with one attempt allowed the first ambiguous failure ends the job', () => {
  assert.deepEqual(afterFailure('ambiguous', 0, { ...retrying, maxAttempts: 1 }), {
    next: 'end',
    counts: true,
    reason: 'max_attempts',
  })
})

test('ON_UNKNOWN=dead-letter ends a job at its first ambiguous failure, and says that it is unknown', () => {
  assert.deepEqual(afterFailure('ambiguous', 0, cautious), { next: 'end', counts: true, reason: 'unknown' })
})

test('ON_UNKNOWN=dead-letter says unknown at the last attempt, too', () => {
  assert.deepEqual(afterFailure('ambiguous', 4, cautious), { next: 'end', counts: true, reason: 'unknown' })
})

test('ON_UNKNOWN=dead-letter changes nothing for any other kind', () => {
  for (const kind of failureKinds.filter((kind) => kind !== 'ambiguous')) {
    assert.deepEqual(afterFailure(kind, 0, cautious), afterFailure(kind, 0, retrying))
  }
})

test('a failure that does not count never ends a job for its number of attempts', () => {
  const uncounted = failureKinds.filter((kind) => expected[kind].next === 'again' && !expected[kind].counts)
  fc.assert(
    fc.property(fc.constantFrom(...uncounted), fc.nat(), fc.integer({ min: 1, max: 100 }), (kind, before, max) => {
      assert.deepEqual(afterFailure(kind, before, { ...retrying, maxAttempts: max }), { next: 'again', counts: false })
    }),
  )
})

test('nothing that may have been billed is asked again within its attempt', () => {
  assert.deepEqual(
    failureKinds.filter((kind) => expected[kind].counts && mayAskAgain(kind)),
    [],
  )
})
