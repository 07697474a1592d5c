import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  decideCancel,
  decideClaim,
  decideRefusedWrite,
  decideSweep,
  type Found,
  leaseFor,
  sweepAt,
  type Wanted,
} from '../../shared/job/claim.ts'
import type { RetryPolicy } from '../../shared/job/failures.ts'
import type { JobRecord, RunningRecord } from '../../shared/job/record.ts'
import {
  cancelledUnseen,
  firstRecord,
  givenUp,
  nextAttempt,
  nextRun,
  released,
  requeued,
  withDeadAttempt,
} from '../../shared/job/transitions.ts'
import {
  aCancelledRecord,
  aClaim,
  aDeadLetteredRecord,
  aJob,
  anAmbiguousEnd,
  anExpiredRecord,
  aRunningRecord,
  aSucceededRecord,
  aWaitingRecord,
  DAY_MS,
  LEASE_MS,
  START,
} from '../support/job-builders.ts'

const policy: RetryPolicy = { maxAttempts: 5, onUnknown: 'retry' }
const { payloadHash } = aJob()
const wanted: Wanted = { run: 1, payloadHash, owner: 'b' }
const settledRecords = [aSucceededRecord, aDeadLetteredRecord(), anExpiredRecord, aCancelledRecord]
const replayable = [aDeadLetteredRecord(), anExpiredRecord, aCancelledRecord]

const found = (record: JobRecord, ageMs = 0): Found => ({ record, ageMs })
/** What a claim of this age decides; `over` are what it wants, and its policy, if these are not the usual ones. */
const claim = (record: JobRecord, ageMs = 0, over: Partial<Wanted & RetryPolicy> = {}) =>
  decideClaim(found(record, ageMs), { ...wanted, ...over }, { ...policy, ...over })
const sweep = (record: JobRecord, ageMs: number, now: number, over: Partial<RetryPolicy> = {}) =>
  decideSweep(found(record, ageMs), now, { ...policy, ...over })

describe('a running job', () => {
  test('is busy for every other worker up to the last millisecond of its lease, and says how long', () => {
    assert.deepEqual(claim(aRunningRecord()), { kind: 'busy', retryInMs: LEASE_MS })
    assert.deepEqual(claim(aRunningRecord(), LEASE_MS - 1), { kind: 'busy', retryInMs: 1 })
  })

  test('is free at the very millisecond its lease ends', () => {
    const dead = aRunningRecord()
    assert.deepEqual(claim(dead, LEASE_MS), { kind: 'take_over', dead })
  })

  test('is its own owner’s, whose reply was lost, and stays so after the lease', () => {
    const record = aRunningRecord({ owner: 'b' })
    assert.deepEqual(claim(record), { kind: 'mine', record })
    assert.deepEqual(claim(record, LEASE_MS), { kind: 'mine', record })
  })

  test('in conflict with another payload is left alone, be its lease alive or over', () => {
    const other = { payloadHash: 'another payload' }
    assert.deepEqual(claim(aRunningRecord(), 0, other), { kind: 'conflict' })
    assert.deepEqual(claim(aRunningRecord(), LEASE_MS, other), { kind: 'conflict' })
  })

  test('keeps a later run waiting, even after its lease: only a settled job is replayed', () => {
    const later = { run: 2 }
    assert.deepEqual(claim(aRunningRecord(), 0, later), { kind: 'busy', retryInMs: 1_000 })
    assert.deepEqual(claim(aRunningRecord(), LEASE_MS, later), { kind: 'busy', retryInMs: 1_000 })
  })

  test('makes an earlier run history', () => {
    assert.deepEqual(claim(aRunningRecord({ run: 2 })), { kind: 'superseded' })
  })
})

describe('a job whose instance died', () => {
  const endedAttempts = (n: number) =>
    Array.from({ length: n }, (_, i) => ({ run: 1, n: i + 1, owner: `dead-${i}`, startedAt: START, endedAt: START }))
  const diedAfter = (n: number) =>
    aRunningRecord({ attempts: [...endedAttempts(n), { run: 1, n: n + 1, owner: 'a', startedAt: START }] })

  test('is taken over while an attempt is left', () => {
    const dead = diedAfter(3)
    assert.deepEqual(claim(dead, LEASE_MS), { kind: 'take_over', dead })
  })

  test('is given up when the attempt that died was its last', () => {
    const dead = diedAfter(4)
    assert.deepEqual(claim(dead, LEASE_MS), { kind: 'give_up', dead, reason: 'max_attempts' })
  })

  test('is given up as unknown with ON_UNKNOWN=dead-letter', () => {
    const dead = aRunningRecord()
    assert.deepEqual(claim(dead, LEASE_MS, { onUnknown: 'dead-letter' }), { kind: 'give_up', dead, reason: 'unknown' })
  })

  test('does not pay for the attempts of earlier runs', () => {
    const current = { run: 2, n: 1, owner: 'a', startedAt: START }
    const dead = aRunningRecord({ run: 2, attempts: [...endedAttempts(5), current] })
    assert.deepEqual(claim(dead, LEASE_MS, { run: 2 }), { kind: 'take_over', dead })
  })
})

describe('a waiting job', () => {
  test('starts its next attempt at once, for any worker', () => {
    const waiting = aWaitingRecord()
    const next = { kind: 'next_attempt', waiting }
    assert.deepEqual(claim(waiting), next)
    assert.deepEqual(claim(waiting, 0, { owner: 'a' }), next)
  })

  test('in conflict with another payload is left alone', () => {
    const other = { payloadHash: 'another payload' }
    assert.deepEqual(claim(aWaitingRecord(), 0, other), { kind: 'conflict' })
  })

  test('keeps a later run waiting and makes an earlier one history', () => {
    const later = { run: 2 }
    assert.deepEqual(claim(aWaitingRecord(), 0, later), { kind: 'busy', retryInMs: 1_000 })
    assert.deepEqual(claim(aWaitingRecord({ run: 2 })), { kind: 'superseded' })
  })
})

describe('a settled job', () => {
  for (const record of settledRecords) {
    test(`that is ${record.status} is settled for the same run and for every lower one`, () => {
      assert.deepEqual(claim(record), { kind: 'settled', record })
      const third = { ...record, run: 3 }
      assert.deepEqual(claim(third), { kind: 'settled', record: third })
      assert.deepEqual(claim(third, 0, { run: 2 }), { kind: 'settled', record: third })
    })

    test(`that is ${record.status} is settled for the claim that settled it`, () => {
      const { owner } = record
      assert.deepEqual(claim(record, 0, { owner }), { kind: 'settled', record })
    })

    test(`that is ${record.status} is in conflict with another payload of its run, not of an earlier one`, () => {
      const other = { payloadHash: 'another payload' }
      assert.deepEqual(claim(record, 0, other), { kind: 'conflict' })
      const second = { ...record, run: 2 }
      assert.deepEqual(claim(second, 0, other), { kind: 'settled', record: second })
    })
  }

  for (const record of replayable) {
    test(`that is ${record.status} is opened by the next run, with the same payload or another`, () => {
      assert.deepEqual(claim(record, 0, { run: 2 }), { kind: 'next_run' })
      const fixed = { run: 2, payloadHash: 'another payload' }
      assert.deepEqual(claim(record, 0, fixed), { kind: 'next_run' })
    })

    test(`that is ${record.status} cannot have been replayed to the run after the next`, () => {
      assert.deepEqual(claim(record, 0, { run: 3 }), { kind: 'impossible_run' })
    })
  }

  test('that succeeded is settled for every later run: an answer is not paid for twice', () => {
    for (const run of [2, 3, 1_000]) {
      assert.deepEqual(claim(aSucceededRecord, 0, { run }), { kind: 'settled', record: aSucceededRecord })
    }
  })
})

const anyWanted = fc.record({
  run: fc.integer({ min: 1, max: 4 }),
  payloadHash: fc.constantFrom(payloadHash, 'another payload'),
  owner: fc.constantFrom('a', 'b', 'c'),
})
const anyPolicy: fc.Arbitrary<RetryPolicy> = fc.record({
  maxAttempts: fc.integer({ min: 1, max: 3 }),
  onUnknown: fc.constantFrom('retry', 'dead-letter'),
})

describe('two owners never run under one live lease', () => {
  test('whatever a claim asks for, the live lease of another worker leaves it nothing to run or write', () => {
    const anyLiveLease = fc
      .integer({ min: 1, max: 100_000 })
      .chain((leaseMs) => fc.tuple(fc.constant(leaseMs), fc.integer({ min: -1_000, max: leaseMs - 1 })))
    fc.assert(
      fc.property(anyLiveLease, anyWanted, anyPolicy, fc.integer({ min: 1, max: 4 }), (lease, wish, rules, run) => {
        const [leaseMs, ageMs] = lease
        const record = aRunningRecord({ leaseMs, run, owner: 'the owner' })
        const { kind } = decideClaim({ record, ageMs }, wish, rules)
        assert.ok(['busy', 'conflict', 'superseded'].includes(kind), kind)
      }),
    )
  })

  test('in any history of claims, the one that runs is the only one whose lease lives', () => {
    const anyStep = fc.record({ waitMs: fc.nat(150), wish: anyWanted, leaseMs: fc.integer({ min: 1, max: 100 }) })
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 30 }), anyPolicy, (steps, rules) => {
        let now = START
        let record: JobRecord | undefined
        let changedAt = now
        const leases = new Map<string, number>()
        for (const [i, { waitMs, wish, leaseMs }] of steps.entries()) {
          now += waitMs
          const owner = `${wish.owner}-${i}`
          const job = aJob({ run: wish.run, payloadHash: wish.payloadHash })
          const written = write(record, now - changedAt, aClaim({ job, owner, leaseMs, policy: rules, now }))
          if (written === undefined) continue
          record = written
          changedAt = now
          if (written.status === 'running') leases.set(owner, now + leaseMs)
          assert.ok([...leases.values()].filter((endsAt) => endsAt > now).length <= 1)
        }
      }),
    )
  })
})

/** What a claim writes over the record that stands, if anything. */
function write(
  record: JobRecord | undefined,
  ageMs: number,
  request: ReturnType<typeof aClaim>,
): RunningRecord | JobRecord | undefined {
  if (record === undefined) return firstRecord(request)
  const { job, owner, policy: rules, now } = request
  const decision = decideClaim({ record, ageMs }, { run: job.run, payloadHash: job.payloadHash, owner }, rules)
  if (decision.kind === 'next_attempt') return nextAttempt(decision.waiting, request)
  if (decision.kind === 'next_run') return nextRun(record, request)
  if (decision.kind === 'take_over') return nextAttempt(withDeadAttempt(decision.dead, now), request)
  if (decision.kind === 'give_up') {
    return givenUp(decision.dead, owner, decision.reason, { now, expireAt: now + DAY_MS })
  }
  return undefined
}

describe('a job that was cancelled before anybody had seen it', () => {
  const unseen = cancelledUnseen(aJob(), { now: START, expireAt: START + DAY_MS })

  test('is settled for every delivery, whatever its payload', () => {
    for (const hash of [payloadHash, 'another payload']) {
      assert.deepEqual(claim(unseen, 0, { payloadHash: hash }), { kind: 'settled', record: unseen })
    }
  })

  test('is opened by run 2, and knows then what it is', () => {
    const replay = aClaim({ job: aJob({ run: 2, deadline: START + 5 }) })
    assert.deepEqual(claim(unseen, 0, { run: 2 }), { kind: 'next_run' })
    const { url, payloadHash: hash, deadline, run } = nextRun(unseen, replay)
    assert.deepEqual([url, hash, deadline, run], [replay.job.url, payloadHash, START + 5, 2])
  })
})

describe('a replay', () => {
  test('has its own deadline, and none when it brings none', () => {
    const late = aDeadLetteredRecord({ deadline: START })
    const replay = (deadline: number | undefined) => nextRun(late, aClaim({ job: aJob({ run: 2, deadline }) }))
    assert.equal(replay(START + 1).deadline, START + 1)
    assert.equal('deadline' in replay(undefined), false)
  })
})

describe('a cancel', () => {
  test('leaves a job that runs alone up to the last millisecond of its lease, and says how long', () => {
    assert.deepEqual(decideCancel(found(aRunningRecord(), 0)), { kind: 'running', leaseLeftMs: LEASE_MS })
    assert.deepEqual(decideCancel(found(aRunningRecord(), LEASE_MS - 1)), { kind: 'running', leaseLeftMs: 1 })
  })

  test('takes a job at the very millisecond its lease ends', () => {
    const record = aRunningRecord()
    assert.deepEqual(decideCancel(found(record, LEASE_MS)), { kind: 'cancel', record })
  })

  test('takes a job that waits, however lately it changed', () => {
    const record = aWaitingRecord()
    assert.deepEqual(decideCancel(found(record, 0)), { kind: 'cancel', record })
  })

  test('leaves what is settled as it is', () => {
    for (const record of settledRecords) {
      assert.deepEqual(decideCancel(found(record, DAY_MS)), { kind: 'settled', record })
    }
  })
})

describe('a sweep', () => {
  const GRACE_MS = 60_000

  test('leaves a running job until a minute after its lease, and takes it at that very millisecond', () => {
    const dead = aRunningRecord()
    assert.deepEqual(sweep(dead, LEASE_MS + GRACE_MS - 1, START), { kind: 'leave' })
    assert.deepEqual(sweep(dead, LEASE_MS + GRACE_MS, START), { kind: 'take_over', dead })
  })

  test('ends a stuck job by the rule of a takeover', () => {
    const dead = aRunningRecord()
    const giveUp = (reason: string) => ({ kind: 'give_up', dead, reason })
    assert.deepEqual(sweep(dead, DAY_MS, START, { onUnknown: 'dead-letter' }), giveUp('unknown'))
    assert.deepEqual(sweep(dead, DAY_MS, START, { maxAttempts: 1 }), giveUp('max_attempts'))
  })

  test('expires a job that waits one millisecond after its deadline, and not at it', () => {
    const waiting = aWaitingRecord({ deadline: START })
    assert.deepEqual(sweep(waiting, 0, START), { kind: 'leave' })
    assert.deepEqual(sweep(waiting, 0, START + 1), { kind: 'expire', waiting })
  })

  test('gives a waiting job up at the very millisecond at which its run is too old, and a run that expired is that', () => {
    const waiting = aWaitingRecord({ giveUpAt: START })
    assert.deepEqual(sweep(waiting, 0, START - 1), { kind: 'leave' })
    assert.deepEqual(sweep(waiting, 0, START), { kind: 'too_old', waiting })
    const late = aWaitingRecord({ giveUpAt: START, deadline: START - 1 })
    assert.deepEqual(sweep(late, 0, START), { kind: 'expire', waiting: late })
  })

  test('leaves a running job past its time, a waiting one without a time, and all that is settled', () => {
    const { giveUpAt: _, ...older } = aWaitingRecord()
    for (const record of [aRunningRecord({ deadline: START, giveUpAt: START }), older, ...settledRecords]) {
      assert.deepEqual(sweep(record, 0, START + 100 * DAY_MS), { kind: 'leave' })
    }
  })

  test('is to look at a running job by the start of the attempt that holds it, or by its creation', () => {
    const attempt = (owner: string, startedAt: number) => ({ run: 1, n: 1, owner, startedAt })
    const attempts = [attempt('a', START + 5), attempt('dead', START + 9)]
    assert.equal(sweepAt(aRunningRecord({ owner: 'a', attempts })), START + 5 + LEASE_MS + GRACE_MS)
    assert.equal(sweepAt(aRunningRecord({ attempts: [], createdAt: START + 7 })), START + 7 + LEASE_MS + GRACE_MS)
  })

  test('is to look at a job when it may be due, and at a settled one never', () => {
    assert.equal(sweepAt(aRunningRecord()), START + LEASE_MS + GRACE_MS)
    assert.equal(sweepAt(aWaitingRecord()), START + 7 * DAY_MS)
    assert.equal(sweepAt(aWaitingRecord({ deadline: START + 5 })), START + 5)
    assert.equal(sweepAt(aWaitingRecord({ deadline: START + 5, giveUpAt: START + 4 })), START + 4)
    const { giveUpAt: _, ...older } = aWaitingRecord()
    assert.equal(sweepAt({ ...older, deadline: START + 5 }), START + 5)
    for (const record of [older, ...settledRecords]) assert.equal(sweepAt(record), undefined)
  })
})

describe('a record that waits for a provider', () => {
  const waits = aWaitingRecord({ waitMs: 60_000 })

  test('starts the next attempt at a deployment that it does not wait for, which keeps what is left of the wait', () => {
    const waitsForOne = aWaitingRecord({ waitMs: 60_000, waitsFor: ['first'] })
    const wait = { waitMs: 59_000, waitsFor: ['first'] }
    const early = { kind: 'next_attempt', waiting: waitsForOne, wait }
    assert.deepEqual(claim(waitsForOne, 1_000, { deployment: 'second' }), early)
    assert.equal(claim(waitsForOne, 1_000, { deployment: 'first' }).kind, 'waits')
    assert.equal(claim(waitsForOne, 1_000).kind, 'waits')
    assert.equal(claim(waits, 1_000, { deployment: 'second' }).kind, 'waits')
    const over = claim(waitsForOne, 60_000, { deployment: 'second' })
    assert.deepEqual(over, { kind: 'next_attempt', waiting: waitsForOne })
  })

  test('is not claimed before its wait is over by the clock of the store', () => {
    assert.deepEqual(claim(waits, 0), { kind: 'waits', waiting: waits, retryInMs: 60_000 })
    assert.deepEqual(claim(waits, 59_999), { kind: 'waits', waiting: waits, retryInMs: 1 })
  })

  test('is claimed at the very millisecond its wait is over', () => {
    assert.deepEqual(claim(waits, 60_000), { kind: 'next_attempt', waiting: waits })
  })

  test('is cancelled, expired and aged out during its wait like any other', () => {
    assert.equal(decideCancel(found(waits)).kind, 'cancel')
    assert.equal(sweep({ ...waits, deadline: START }, 0, START + 1).kind, 'expire')
    assert.equal(sweep(waits, 0, START + 7 * DAY_MS).kind, 'too_old')
  })
})

describe('a closing write that was refused', () => {
  const ours = aRunningRecord()

  test('is not repeated when the record is gone', () => {
    assert.equal(decideRefusedWrite(undefined, ours), 'not_ours')
  })

  test('is not repeated when another claim runs the job, or the job is settled by another', () => {
    for (const record of [aRunningRecord(), ...settledRecords]) {
      assert.equal(decideRefusedWrite({ ...record, owner: 'b' }, ours), 'not_ours')
    }
  })

  test('is repeated while the record is still running for its owner', () => {
    assert.equal(decideRefusedWrite(aRunningRecord(), ours), 'again')
  })

  test('had been applied when its owner’s record runs no more', () => {
    for (const record of [aWaitingRecord(), ...settledRecords])
      assert.equal(decideRefusedWrite(record, ours), 'applied')
  })

  test('is repeated over a record that the sweep requeued: its answer is paid for', () => {
    assert.equal(decideRefusedWrite(requeued(ours, START), ours), 'again')
  })

  test('is not repeated when another attempt began and ended after the sweep set the record back', () => {
    const next = nextAttempt(requeued(ours, START), aClaim({ owner: 'b' }))
    for (const record of [next, requeued(next, START), released(next, anAmbiguousEnd, START)]) {
      assert.equal(decideRefusedWrite(record, ours), 'not_ours')
    }
  })

  test('is repeated only if it ends the job when another claim left no attempt: a release would lose what it counted', () => {
    const next = nextAttempt(requeued(ours, START), aClaim({ owner: 'b' }))
    for (const how of [{ marks: 'folded' }, { marks: 'none', kind: 'throttled' }] as const) {
      assert.equal(decideRefusedWrite(released(next, how, START), ours), 'settle_only')
    }
  })

  test('is not repeated over the next run of the job', () => {
    assert.equal(decideRefusedWrite({ ...requeued(ours, START), run: 2 }, ours), 'not_ours')
  })
})

describe('the lease', () => {
  test('is a quarter longer than the ask may take, rounded up', () => {
    assert.equal(leaseFor(120_000), 150_000)
    assert.equal(leaseFor(1), 2)
    assert.equal(leaseFor(4), 5)
    assert.equal(leaseFor(0), 0)
  })

  test('is never below zero: such a record could not be read again', () => {
    assert.equal(leaseFor(-1), 0)
    assert.equal(leaseFor(-8), 0)
  })
})
