import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  afterFailure,
  endReasons,
  type Failure,
  type FailureKind,
  failureKinds,
  mayAskAgain,
  mayAskElsewhere,
  type RetryPolicy,
} from '../../shared/job/failures.ts'
import { tokenLegs } from '../../shared/job/token-leg.ts'
import { judgeServerError } from '../../shared/models/answers.ts'

const retrying: RetryPolicy = { maxAttempts: 5, onUnknown: 'retry' }
const cautious: RetryPolicy = { maxAttempts: 5, onUnknown: 'dead-letter' }
const FRESH = { counted: 0, timeouts: 0, folded: 0 }

const failed = (kind: FailureKind, over: Partial<Failure> = {}): Failure => ({ kind, message: kind, ...over })
const after = (failure: Failure, run: Partial<typeof FRESH> = {}, policy = retrying, jitter = 0) =>
  afterFailure(failure, { ...FRESH, ...run }, policy, jitter)

interface Expected {
  readonly next: 'end' | 'again'
  readonly marks: 'attempt' | 'folded' | 'none'
  readonly askAgain: boolean
  readonly askElsewhere: boolean
  readonly waitMs?: number
}

/** Written out a second time, so that no row of the table changes unseen. */
const expected: Readonly<Record<FailureKind, Expected>> = {
  invalid: { next: 'end', marks: 'none', askAgain: false, askElsewhere: false },
  conflict: { next: 'end', marks: 'none', askAgain: false, askElsewhere: false },
  expired: { next: 'end', marks: 'none', askAgain: false, askElsewhere: false },
  token: { next: 'again', marks: 'none', askAgain: false, askElsewhere: false },
  unauthorized: { next: 'again', marks: 'none', askAgain: true, askElsewhere: true },
  forbidden: { next: 'again', marks: 'none', askAgain: false, askElsewhere: true },
  no_deployment: { next: 'again', marks: 'none', askAgain: false, askElsewhere: true },
  rejected: { next: 'end', marks: 'attempt', askAgain: false, askElsewhere: false },
  throttled: { next: 'again', marks: 'none', askAgain: true, askElsewhere: true },
  budget: { next: 'end', marks: 'none', askAgain: false, askElsewhere: false },
  unreachable: { next: 'again', marks: 'none', askAgain: true, askElsewhere: true },
  oversized: { next: 'end', marks: 'attempt', askAgain: false, askElsewhere: false },
  unavailable: { next: 'again', marks: 'folded', askAgain: false, askElsewhere: false, waitMs: 10_000 },
  timeout: { next: 'again', marks: 'attempt', askAgain: false, askElsewhere: false },
  ambiguous: { next: 'again', marks: 'attempt', askAgain: false, askElsewhere: false },
  store: { next: 'again', marks: 'none', askAgain: false, askElsewhere: false },
  busy: { next: 'again', marks: 'none', askAgain: false, askElsewhere: false },
  draining: { next: 'again', marks: 'none', askAgain: false, askElsewhere: false },
}

describe('what each kind of failure does to a job with attempts left', () => {
  for (const kind of failureKinds) {
    const { next, marks, askAgain, askElsewhere, waitMs = 0 } = expected[kind]
    const fate = next === 'end' ? 'ends the job' : 'leaves the job to be tried again'

    test(`${kind} ${fate}, marks ${marks}, ${askAgain ? 'may' : 'may not'} be asked again at once`, () => {
      assert.deepEqual(after(failed(kind)), next === 'end' ? { next, marks, reason: kind } : { next, marks, waitMs })
      assert.deepEqual([mayAskAgain(kind), mayAskElsewhere(kind)], [askAgain, askElsewhere])
    })
  }
})

test('an ambiguous failure is tried again while one attempt is left, and ends the job with the last', () => {
  const ending = { next: 'end', marks: 'attempt', reason: 'max_attempts' }
  assert.deepEqual(after(failed('ambiguous'), { counted: 3 }), { next: 'again', marks: 'attempt', waitMs: 0 })
  assert.deepEqual(after(failed('ambiguous'), { counted: 4 }), ending)
  assert.deepEqual(after(failed('ambiguous'), { counted: 9 }), ending)
  assert.deepEqual(after(failed('ambiguous'), {}, { ...retrying, maxAttempts: 1 }), ending)
})

describe('a timeout', () => {
  const ending = { next: 'end', marks: 'attempt', reason: 'max_attempts' }

  test('is repeated once in a run, and ends the job the second time', () => {
    assert.equal(after(failed('timeout'), { counted: 1 }).next, 'again')
    assert.deepEqual(after(failed('timeout'), { counted: 1, timeouts: 1 }), ending)
  })

  test('counts towards MAX_ATTEMPTS like any other attempt that may have been billed', () => {
    assert.deepEqual(after(failed('timeout'), { counted: 4 }), ending)
  })
})

describe('a provider that cannot serve requests', () => {
  const unavailable = (httpStatus: number, retryAfterMs?: number) =>
    failed('unavailable', { httpStatus, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) })

  test('never ends a job by the number of its answers', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (counted, folded) => {
        assert.equal(after(unavailable(503), { counted, folded }).next, 'again')
      }),
    )
  })

  test('is asked again after 10 s, doubling up to 10 min', () => {
    const waits = [0, 1, 2, 5, 6, 100].map((folded) => after(unavailable(503), { folded }))
    const times = waits.map((wait) => wait.next === 'again' && wait.waitMs)
    assert.deepEqual(times, [10_000, 20_000, 40_000, 320_000, 600_000, 600_000])
  })

  test('is asked again earlier by up to half of the time, so that jobs that failed together come back apart', () => {
    assert.partialDeepStrictEqual(after(unavailable(503), {}, retrying, 1), { waitMs: 5_000 })
  })

  test('is waited for as long as it asks, and no longer than 10 min', () => {
    assert.partialDeepStrictEqual(after(unavailable(503, 6_000)), { waitMs: 6_000 })
    assert.partialDeepStrictEqual(after(unavailable(503, 86_400_000)), { waitMs: 600_000 })
    assert.partialDeepStrictEqual(after(failed('throttled', { retryAfterMs: 7_000 })), { waitMs: 7_000 })
  })

  test('ends a job under ON_UNKNOWN=dead-letter where its answer may have been billed, and only there', () => {
    const ends = [409, 424, 425, 499, 500, 502, 503, 504, 529].filter(
      (status) => after(unavailable(status), {}, cautious).next === 'end',
    )
    assert.deepEqual(ends, [424, 499, 500, 502, 504])
    const ending = { next: 'end', marks: 'attempt', reason: 'unknown' }
    assert.deepEqual(after(unavailable(502), {}, cautious), ending)
  })
})

test('a missing deployment ends a job when a request has found it missing for ten minutes', () => {
  assert.equal(after(failed('no_deployment', { missingForMs: 599_999 })).next, 'again')
  const ending = { next: 'end', marks: 'none', reason: 'no_deployment' }
  assert.deepEqual(after(failed('no_deployment', { missingForMs: 600_000 })), ending)
})

describe('ON_UNKNOWN=dead-letter', () => {
  const perhapsBilled: readonly FailureKind[] = ['ambiguous', 'timeout']
  const ending = { next: 'end', marks: 'attempt', reason: 'unknown' }

  test('ends a job at the first attempt that may have been billed, and at the last one too', () => {
    for (const kind of perhapsBilled) {
      assert.deepEqual(after(failed(kind), {}, cautious), ending)
      assert.deepEqual(after(failed(kind), { counted: 4, timeouts: 1 }, cautious), ending)
    }
  })

  test('changes nothing for a failure that was certainly not billed', () => {
    for (const kind of failureKinds.filter((kind) => !perhapsBilled.includes(kind) && kind !== 'unavailable')) {
      assert.deepEqual(after(failed(kind), {}, cautious), after(failed(kind)))
    }
  })
})

test('a failure that does not count never ends a job for its number of attempts', () => {
  const uncounted = failureKinds.filter((kind) => expected[kind].next === 'again' && expected[kind].marks === 'none')
  fc.assert(
    fc.property(fc.constantFrom(...uncounted), fc.nat(), fc.integer({ min: 1, max: 100 }), (kind, counted, max) => {
      assert.equal(after(failed(kind), { counted }, { ...retrying, maxAttempts: max }).next, 'again')
    }),
  )
})

test('nothing that may have been billed is asked again within its attempt, neither there nor elsewhere', () => {
  const isSent = (kind: FailureKind) => mayAskAgain(kind) || mayAskElsewhere(kind)
  const billed = failureKinds.filter((kind) => expected[kind].marks !== 'none' && isSent(kind))
  assert.deepEqual(billed, [])
})

test('no job ends for a reason that the last release cannot read', () => {
  const reasons: readonly string[] = endReasons
  const unreadable = ['unavailable', 'timeout'].filter((kind) => reasons.includes(kind))
  assert.deepEqual(unreadable, [])
})

describe('a server error', () => {
  const serverError = failed('unavailable', { httpStatus: 500 })

  test("is the job's own where the deployment answered another job within the last minute", () => {
    assert.equal(judgeServerError(serverError, 60_000).kind, 'ambiguous')
    assert.equal(judgeServerError(serverError, 60_001).kind, 'unavailable')
    assert.equal(judgeServerError(serverError, undefined).kind, 'unavailable')
  })

  test("is never the job's own with another status than 500", () => {
    for (const httpStatus of [502, 503, 504, 529]) {
      assert.equal(judgeServerError({ ...serverError, httpStatus }, 0).kind, 'unavailable')
    }
  })
})

test('the legs of a token have the names that logs, metrics and stored records contain', () => {
  assert.deepEqual(tokenLegs, ['google_id_token', 'entra_exchange', 'azure_refused', 'azure_cli'])
})
