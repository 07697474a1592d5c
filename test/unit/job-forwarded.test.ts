import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { decideForwarded, type ForwardingRules } from '../../shared/job/forwarded.ts'
import type { JobRecord } from '../../shared/job/record.ts'
import {
  aCancelledRecord,
  aDeadLetteredRecord,
  aJob,
  anExpiredRecord,
  aRunningRecord,
  aSucceededRecord,
  aWaitingRecord,
  DAY_MS,
  LEASE_MS,
  START,
} from '../support/job-builders.ts'

const rules: ForwardingRules = {
  now: START + DAY_MS,
  firstPublishedAt: START,
  maxAgeMs: 7 * DAY_MS,
  policy: { maxAttempts: 5, onUnknown: 'retry' },
}
const job = aJob()
const found = (record: JobRecord, ageMs = 0) => ({ record, ageMs })
const decide = (record: JobRecord | undefined, over: Partial<ForwardingRules> = {}, asked = job) =>
  decideForwarded(asked, record && found(record), { ...rules, ...over })
const reasonOf = (fate: ReturnType<typeof decide>) => (fate.kind === 'record' ? fate.error.kind : fate.kind)

describe('a job that Pub/Sub gave up on is rescued', () => {
  test('when it never had a record', () => assert.equal(decide(undefined).kind, 'rescue'))

  test('when it waits for its next attempt', () => assert.equal(decide(aWaitingRecord()).kind, 'rescue'))

  test('when an attempt is under way, and when its lease is over', () => {
    for (const ageMs of [0, LEASE_MS - 1, LEASE_MS, DAY_MS]) {
      assert.equal(decideForwarded(job, found(aRunningRecord(), ageMs), rules).kind, 'rescue')
    }
  })

  test('when its last attempt died and it has none left: the worker that takes it settles it', () => {
    const policy = { maxAttempts: 1, onUnknown: 'retry' } as const
    assert.equal(decideForwarded(job, found(aRunningRecord(), LEASE_MS), { ...rules, policy }).kind, 'rescue')
  })

  test('when it is the replay of a job that failed', () => {
    assert.equal(decide(aDeadLetteredRecord(), {}, aJob({ run: 2 })).kind, 'rescue')
    assert.equal(decide(anExpiredRecord, {}, aJob({ run: 2 })).kind, 'rescue')
  })

  test('when it is the replay of a job that still runs', () => {
    assert.equal(decide(aRunningRecord(), {}, aJob({ run: 2 })).kind, 'rescue')
  })
})

test('it waits while a worker holds it and its time is over: that worker may settle it, or die', () => {
  const late = { ...rules, now: START + rules.maxAgeMs }
  assert.equal(decideForwarded(job, found(aRunningRecord(), LEASE_MS - 1), late).kind, 'wait')
  assert.equal(reasonOf(decideForwarded(job, found(aRunningRecord(), LEASE_MS), late)), 'max_age')
})

describe('it is left alone', () => {
  test('when it has succeeded, or was cancelled', () => {
    for (const ended of [aSucceededRecord, aCancelledRecord]) {
      assert.deepEqual(decide(ended), { kind: 'nothing', ended })
    }
  })

  test('when its replay meets a success', () => {
    assert.equal(decide(aSucceededRecord, {}, aJob({ run: 2 })).kind, 'nothing')
  })

  test('when a later run has taken its place, however that ended', () => {
    assert.equal(decide(aRunningRecord({ run: 2 })).kind, 'nothing')
    assert.equal(decide(aDeadLetteredRecord({ run: 2 })).kind, 'nothing')
  })
})

describe('it is recorded', () => {
  test('when it was dead-lettered or expired, with that reason: its letter may have been lost', () => {
    for (const record of [aDeadLetteredRecord(), anExpiredRecord]) {
      assert.ok(record.status !== 'succeeded')
      assert.deepEqual(decide(record), { kind: 'record', error: record.error, ended: record })
    }
  })

  test('when it was dead-lettered, however old it is and whatever its deadline was', () => {
    const late = { now: START + 100 * DAY_MS }
    assert.equal(reasonOf(decide(aDeadLetteredRecord(), late, aJob({ deadline: START }))), 'rejected')
  })

  test('as a conflict, when another payload has its id and run', () => {
    const other = aJob({ payloadHash: 'another payload' })
    for (const record of [aSucceededRecord, aDeadLetteredRecord(), aRunningRecord(), aWaitingRecord()]) {
      assert.equal(reasonOf(decide(record, {}, other)), 'conflict')
    }
  })

  test('when its run is one that no replay can have reached', () => {
    assert.equal(reasonOf(decide(aDeadLetteredRecord(), {}, aJob({ run: 3 }))), 'invalid')
  })

  test('from the very millisecond after its deadline on', () => {
    const due = aJob({ deadline: rules.now })
    assert.equal(reasonOf(decide(undefined, {}, due)), 'rescue')
    assert.equal(reasonOf(decide(undefined, { now: rules.now + 1 }, due)), 'expired')
    assert.equal(reasonOf(decide(aWaitingRecord(), { now: rules.now + 1 }, due)), 'expired')
  })

  test('and its record is to be settled if no worker holds it, and left if it is of another run', () => {
    const unsettledIn = (record: JobRecord | undefined, ageMs: number, asked = job) => {
      const fate = decideForwarded(asked, record && found(record, ageMs), { ...rules, now: START + rules.maxAgeMs })
      return [reasonOf(fate), fate.kind === 'record' ? fate.unsettled : undefined]
    }
    const [waiting, running] = [aWaitingRecord(), aRunningRecord()]
    assert.deepEqual(unsettledIn(waiting, 0), ['max_age', waiting])
    assert.deepEqual(unsettledIn(running, LEASE_MS), ['max_age', running])
    assert.deepEqual(unsettledIn(waiting, 0, aJob({ run: 2 })), ['max_age', undefined])
    assert.deepEqual(unsettledIn(undefined, 0), ['max_age', undefined])
  })

  test('and its record is to be settled if its last attempt died', () => {
    const late = { ...rules, now: START + rules.maxAgeMs, policy: { maxAttempts: 1, onUnknown: 'retry' } as const }
    const dead = aRunningRecord()
    const fate = decideForwarded(job, found(dead, LEASE_MS), late)
    assert.deepEqual(fate.kind === 'record' && fate.unsettled, dead)
  })

  test('with words that say what happened, and what to do where that is not plain', () => {
    const other = aJob({ payloadHash: 'another payload' })
    const tooOld = 'it was deferred again and again until it was older than MAX_JOB_AGE_DAYS'
    const hint = 'See why jobs were deferred, fix it, then replay the job.'
    assert.deepEqual(
      [
        decide(aSucceededRecord, {}, other),
        decide(aDeadLetteredRecord(), {}, aJob({ run: 3 })),
        decide(undefined, {}, aJob({ deadline: START })),
        decide(undefined, { now: START + rules.maxAgeMs }),
      ],
      [
        { kind: 'conflict', message: 'another payload took this id and run' },
        { kind: 'invalid', message: 'pb-run names a run that no replay can have reached' },
        { kind: 'expired', message: 'its deadline passed before it was started' },
        { kind: 'max_age', message: tooOld, hint },
      ].map((error) => ({ kind: 'record', error })),
    )
  })

  test('and not published again once its record is gone, where records are kept as long as jobs may age', () => {
    const ttlMs = rules.maxAgeMs
    for (const settledAt of [START, START + 1, START + 3 * DAY_MS, START + rules.maxAgeMs]) {
      assert.equal(reasonOf(decide(undefined, { now: settledAt + ttlMs })), 'max_age')
    }
    // Kept for a day less, one that was settled at once would be asked and paid for again.
    assert.equal(reasonOf(decide(undefined, { now: START + ttlMs - DAY_MS })), 'rescue')
  })

  test('from the very millisecond at which it is too old, by its first publication', () => {
    const end = START + rules.maxAgeMs
    for (const record of [undefined, aWaitingRecord()]) {
      assert.equal(reasonOf(decide(record, { now: end - 1 })), 'rescue')
      assert.equal(reasonOf(decide(record, { now: end })), 'max_age')
    }
  })
})
