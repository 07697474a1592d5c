import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  agedOut,
  cancelled,
  cancelledUnseen,
  ended,
  endedBySweep,
  expired,
  firstRecord,
  givenUp,
  linked,
  nextAttempt,
  nextRun,
  released,
  requeued,
  succeeded,
  timeOver,
  timeOverUnseen,
  withCountsOf,
  withDeadAttempt,
} from '../../shared/job/transitions.ts'
import {
  aCancel,
  aClaim,
  aDeadLetter,
  aDeadLetteredRecord,
  aJob,
  anAmbiguousEnd,
  anAnswer,
  anExpiry,
  aRunningRecord,
  DAY_MS,
  LEASE_MS,
  START,
} from '../support/job-builders.ts'

const AT = { now: START + 9, expireAt: START + DAY_MS }
const DEADLINE = START + 60_000
const first = { run: 1, n: 1, owner: 'a', startedAt: START }
const died = { ...first, endedAt: START + 9, outcome: 'unknown' }
const { key, payloadHash } = aJob()
const name = { key, id: 'doc-7', batch: 'nightly' }
const job = { ...name, run: 1, url: '/v1/chat/completions', model: 'gpt-4o', metadata: { row: '7' }, payloadHash }
/** What a record of any status keeps of a job that was claimed once. */
const kept = { ...job, createdAt: START, giveUpAt: START + 7 * DAY_MS, uncounted: {}, attempts: [first] }
const settled = { settledAt: AT.now, expireAt: AT.expireAt }

const running = aRunningRecord()
const late = aRunningRecord({ deadline: DEADLINE })
const waiting = released(late, anAmbiguousEnd, START + 5)
const next = aClaim({ owner: 'b', now: START + 9 })
const folded = [{ run: 1, n: 2, firstAt: START + 1, lastAt: START + 2 }]
const answered = succeeded(running, anAnswer(), { in: 'record', text: '{}' }, AT)
const refusal = { kind: 'rejected', code: 'content_filter', message: 'Azure refused the request' }
const mayBePaid = {
  message: 'the instance that asked the model ended before it could say what came of it',
  hint: 'The provider may have billed this attempt. Replay the job to run it again.',
}

describe('transitions: a claim', () => {
  test('of a new job writes a record that is given up after the maximum age, with its first attempt', () => {
    const claimed = { status: 'running', owner: 'a', leaseMs: LEASE_MS }
    assert.deepEqual(firstRecord(aClaim()), { ...kept, ...claimed })
    const withDeadline = firstRecord(aClaim({ job: aJob({ deadline: DEADLINE }) }))
    assert.deepEqual(withDeadline, { ...kept, ...claimed, deadline: DEADLINE })
  })

  test('of a waiting job adds an attempt with the next number, and keeps what is known', () => {
    const second = { run: 1, n: 2, owner: 'b', startedAt: START + 9 }
    const { status: _, owner: __, ...lasting } = waiting
    assert.deepEqual(nextAttempt(waiting, next), {
      ...{ ...lasting, status: 'running', owner: 'b', leaseMs: LEASE_MS },
      attempts: [...waiting.attempts, second],
    })
  })

  test('numbers an attempt after those of its run, with and without an entry of their own', () => {
    const other = { ...first, run: 2 }
    const attempts = [first, other]
    assert.equal(nextAttempt({ ...waiting, attempts, folded }, next).attempts.at(-1)?.n, 4)
    assert.equal(nextAttempt({ ...waiting, attempts, folded, run: 2 }, next).attempts.at(-1)?.n, 2)
  })

  test('of the next run takes over the payload, deadline and times of the replay, and the attempts before it', () => {
    const replay = aClaim({ owner: 'b', now: START + 9, job: aJob({ run: 2, payloadHash: 'fixed', metadata: {} }) })
    const dead = aDeadLetteredRecord({ deadline: START })
    assert.deepEqual(nextRun(dead, replay), {
      ...{ ...kept, run: 2, payloadHash: 'fixed', metadata: {}, giveUpAt: START + 9 + 7 * DAY_MS },
      ...{ status: 'running', owner: 'b', leaseMs: LEASE_MS },
      attempts: [...dead.attempts, { run: 2, n: 1, owner: 'b', startedAt: START + 9 }],
    })
  })

  test('of a job whose instance died ends the attempt of that instance alone as unknown', () => {
    const other = { ...first, owner: 'earlier' }
    const dead = { ...running, attempts: [other, first] }
    assert.deepEqual(withDeadAttempt(dead, START + 9), { ...dead, attempts: [other, died] })
  })
})

describe('transitions: a release', () => {
  const back = { ...kept, status: 'waiting', owner: 'a' }

  test('after an attempt that counts keeps the attempt, with its end and its report', () => {
    const attempts = [{ ...died, httpStatus: 500 }]
    assert.deepEqual(released(running, anAmbiguousEnd, START + 9), { ...back, attempts })
  })

  test('in an outage counts the attempt in the entry of its run, and keeps the entries of others', () => {
    const uncounted = { ambiguous: 1 }
    const once = released(running, { marks: 'folded' }, START + 9)
    const fresh = { run: 1, n: 1, firstAt: START + 9, lastAt: START + 9 }
    assert.deepEqual(once, { ...back, attempts: [], uncounted, folded: [fresh] })
    const earlier = { run: 0, n: 7, firstAt: 1, lastAt: 2 }
    const again = released({ ...running, folded: [earlier, ...folded] }, { marks: 'folded' }, START + 9)
    assert.deepEqual(again.folded, [earlier, { run: 1, n: 3, firstAt: START + 1, lastAt: START + 9 }])
  })

  test('without an attempt counts its reason, and drops the entry of the attempt alone', () => {
    const other = { ...first, owner: 'earlier' }
    const record = { ...running, uncounted: { token: 2, throttled: 1 }, attempts: [other, first] }
    const uncounted = { token: 3, throttled: 1 }
    assert.deepEqual(released(record, { marks: 'none', kind: 'token' }, START + 9), {
      ...{ ...back, uncounted, attempts: [other] },
    })
  })

  test('has a minimum wait only if the wait is above zero', () => {
    const wait = (waitMs: number) => released(running, { marks: 'none', kind: 'token', waitMs }, START)
    assert.equal(wait(1).waitMs, 1)
    for (const waitMs of [0, -1]) assert.equal('waitMs' in wait(waitMs), false)
  })

  test('after which the sweep requeues the job ends the attempt as unknown and is the sweep’s', () => {
    assert.deepEqual(requeued(running, START + 9), { ...back, owner: 'sweep', attempts: [died] })
  })
})

describe('transitions: a linked answer', () => {
  const job = aJob({ batch: 'the next night', metadata: { row: '8' }, deadline: DEADLINE })
  const later = { now: START + 100, expireAt: START + 2 * DAY_MS }

  test('is of no attempt and of no tokens, is kept from now on, and names the batch that asked', () => {
    const { key, id, batch, url, model, metadata, run, payloadHash } = job
    assert.deepEqual(linked(job, answered, later), {
      ...{ key, id, batch, url, model, metadata, run, payloadHash, deadline: DEADLINE },
      ...{
        status: 'succeeded',
        owner: 'a',
        attempts: [],
        uncounted: {},
        usage: { promptTokens: 0, completionTokens: 0 },
      },
      ...{ result: { in: 'record', text: '{}' }, finishReason: 'stop', linkedFrom: 'nightly' },
      ...{ createdAt: START + 100, settledAt: START + 100, expireAt: START + 2 * DAY_MS },
    })
    assert.equal('deadline' in (linked(aJob(), answered, later) ?? {}), false)
  })

  test('that is linked again names the batch that asked, not the one between', () => {
    const between = linked(job, answered, AT)
    assert.ok(between)
    assert.equal(linked(aJob({ batch: 'third' }), between, AT)?.linkedFrom, 'nightly')
  })

  const elsewhere = { ...answered, result: { in: 'elsewhere' } } as const
  for (const [what, earlier, at] of [
    ['a job with another payload', { ...answered, payloadHash: 'the second payload' }, later],
    ['a job of another url', { ...answered, url: '/v1/responses' }, later],
    ['a job whose answer this version cannot find', elsewhere, later],
    ['a job that runs', running, later],
    ['a job that waits', released(running, anAmbiguousEnd, START), later],
    ['a job that is dead-lettered', aDeadLetteredRecord(), later],
    ['a job that was cancelled', ended(running, aCancel, AT), later],
    ['a job whose deadline passed', ended(running, anExpiry, AT), later],
    ['a job whose record may be deleted, at the very millisecond', answered, { ...later, now: AT.expireAt }],
  ] as const) {
    test(`is not that of ${what}`, () => {
      assert.equal(linked(job, earlier, at), undefined)
    })
  }

  test('is that of a job whose record may be deleted a millisecond later', () => {
    assert.ok(linked(job, answered, { ...later, now: AT.expireAt - 1 }))
  })
})

describe('transitions: an end', () => {
  const usage = { promptTokens: 11, completionTokens: 7 }
  const report = { deployment: 'gpt-4o-eu', httpStatus: 200, requestId: 'request-1' }
  const success = { status: 'succeeded', result: { in: 'record', text: '{}' }, finishReason: 'stop' }

  for (const [what, estimated] of [
    ['a known usage', {}],
    ['an estimated usage', { usageKnown: false }],
  ] as const) {
    test(`with ${what} has it in the record and in the attempt`, () => {
      const record = succeeded(running, anAnswer(estimated), { in: 'record', text: '{}' }, AT)
      const attempt = { ...died, ...report, usage, ...estimated, outcome: 'succeeded' }
      const own = { ...success, owner: 'a', usage, ...estimated, attempts: [attempt] }
      assert.deepEqual(record, { ...kept, ...own, ...settled })
    })
  }

  const refused = { ...died, httpStatus: 400, outcome: 'rejected' }
  for (const [what, ending, expected] of [
    ['by a dead letter keeps the attempt', aDeadLetter(), { status: 'dead_lettered', attempts: [refused] }],
    [
      'by a dead letter before anything was sent keeps no attempt',
      { status: 'dead_lettered', error: aDeadLetter().error },
      { status: 'dead_lettered', attempts: [] },
    ],
    ['by a cancel keeps no attempt', aCancel, { status: 'cancelled', attempts: [], error: aCancel.error }],
    [
      'by a cancel after it was sent keeps the attempt',
      { ...aCancel, attempt: { outcome: 'rejected', report: { httpStatus: 400 } } },
      { status: 'cancelled', attempts: [refused], error: aCancel.error },
    ],
    ['by its deadline keeps no attempt', anExpiry, { status: 'expired', attempts: [], error: anExpiry.error }],
  ] as const) {
    test(what, () => {
      assert.deepEqual(ended(running, ending, AT), { ...kept, owner: 'a', error: refusal, ...settled, ...expected })
    })
  }

  for (const reason of ['unknown', 'max_attempts'] as const) {
    test(`after the last attempt died is ${reason}, and belongs to the claim or the sweep that found it`, () => {
      const error = { kind: reason, ...mayBePaid }
      const given = { ...kept, status: 'dead_lettered', error, owner: 'b', attempts: [died], ...settled }
      assert.deepEqual(givenUp(running, 'b', reason, AT), given)
      assert.deepEqual(endedBySweep(running, reason, AT), { ...given, owner: 'sweep' })
    })
  }

  const lasting = { ...kept, deadline: DEADLINE, attempts: waiting.attempts, ...settled }
  const between = { kind: 'cancelled', message: 'it was cancelled between two attempts' }
  const passed = { kind: 'expired', message: 'its deadline passed before its next attempt' } as const
  const old = {
    kind: 'max_age',
    message: 'it waited for its next attempt until it was older than MAX_JOB_AGE_DAYS',
    hint: 'See why jobs were deferred, fix it, then replay the job. If no dead letter of it is kept, its message is gone: submit it in another batch.',
  } as const
  const gone = { kind: 'max_age', message: 'too old' } as const
  const endedAsUnknown = { ...lasting, attempts: [died] }
  for (const [what, record, expected] of [
    [
      'a cancel of a waiting job',
      cancelled(waiting, AT),
      { ...lasting, status: 'cancelled', owner: 'cancel', error: between },
    ],
    [
      'a cancel of a job whose instance died',
      cancelled(late, AT),
      { ...endedAsUnknown, status: 'cancelled', owner: 'cancel', error: between },
    ],
    ['a deadline', expired(waiting, AT), { ...lasting, status: 'expired', owner: 'sweep', error: passed }],
    ['the maximum age', agedOut(waiting, AT), { ...lasting, status: 'dead_lettered', owner: 'sweep', error: old }],
    [
      'the time of a job whose instance died',
      timeOver(late, gone, AT),
      { ...endedAsUnknown, status: 'dead_lettered', owner: 'sweep', error: gone },
    ],
    [
      'the deadline of a job that was never claimed',
      timeOverUnseen(aJob(), passed, AT),
      {
        ...job,
        attempts: [],
        uncounted: {},
        createdAt: AT.now,
        status: 'expired',
        owner: 'sweep',
        error: passed,
        ...settled,
      },
    ],
    [
      'a cancel of a job that was never claimed',
      cancelledUnseen(aJob(), AT),
      {
        ...{ ...name, run: 1, metadata: {}, attempts: [], uncounted: {}, createdAt: AT.now, status: 'cancelled' },
        ...{
          owner: 'cancel',
          error: { kind: 'cancelled', message: 'it was cancelled before it was started' },
          ...settled,
        },
      },
    ],
  ] as const) {
    test(`by ${what} says why, and keeps what is known`, () => assert.deepEqual(record, expected))
  }

  test('over counts that another write made keeps those counts', () => {
    const counts = { ...running, uncounted: { token: 1 }, folded }
    assert.deepEqual(withCountsOf(counts, answered), { ...answered, uncounted: { token: 1 }, folded })
    assert.deepEqual(withCountsOf({ ...running, uncounted: { token: 1 } }, answered), {
      ...answered,
      uncounted: { token: 1 },
    })
  })

  test('keeps the attempts that have no entry of their own', () => {
    assert.deepEqual(expired({ ...waiting, folded }, AT).folded, folded)
    const { giveUpAt: _, ...older } = waiting
    assert.equal('giveUpAt' in expired(older, AT), false)
  })
})
