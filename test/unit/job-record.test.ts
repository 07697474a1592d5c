import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { runSoFar, unknownAttempts } from '../../shared/job/attempts.ts'
import { isSettled, jobRecord, settledIn } from '../../shared/job/record.ts'
import { cancelledUnseen } from '../../shared/job/transitions.ts'
import {
  aCancelledRecord,
  aDeadLetteredRecord,
  aJob,
  anExpiredRecord,
  aRunningRecord,
  aSucceededRecord,
  aWaitingRecord,
  START,
} from '../support/job-builders.ts'

const inParts = {
  ...aSucceededRecord,
  result: { in: 'parts', owner: 'a', count: 2, sha256: '00' },
} as const
const everyState = [
  aRunningRecord(),
  aWaitingRecord(),
  aSucceededRecord,
  inParts,
  aDeadLetteredRecord(),
  anExpiredRecord,
  aCancelledRecord,
  cancelledUnseen(aJob(), { now: START, expireAt: START + 1 }),
  aWaitingRecord({ deadline: START }),
]

test('a record of every state is read back as it was written', () => {
  for (const record of everyState) assert.deepEqual(jobRecord.parse(JSON.parse(JSON.stringify(record))), record)
})

test('a job without a model has a record without one', () => {
  const { model: _, ...without } = aRunningRecord()
  assert.deepEqual(jobRecord.parse(JSON.parse(JSON.stringify(without))), without)
})

test('succeeded, dead-lettered, expired and cancelled jobs are settled; running and waiting ones are not', () => {
  const settled = everyState.filter(isSettled).map(({ status }) => status)
  assert.deepEqual(settled, ['succeeded', 'succeeded', 'dead_lettered', 'expired', 'cancelled', 'cancelled'])
})

test('of a batch, all are settled but those that run or wait, and none where the statuses are unknown', () => {
  const counts = { running: 1, waiting: 2, succeeded: 4, dead_lettered: 8, cancelled: 16, expired: 32 }
  assert.equal(settledIn(counts), 60)
  assert.equal(settledIn({}), 0)
})

describe('a record that lacks what is needed to act on it is not read', () => {
  const { attempts: _, ...withoutAttempts } = aRunningRecord()
  const impossible = {
    'without attempts': withoutAttempts,
    'without a payload': { ...aWaitingRecord(), payloadHash: null },
    'without a run': { ...aWaitingRecord(), run: 'first' },
    'of a status that a newer version made': { ...aRunningRecord(), status: 'submitted' },
    'that is no object': 'running',
  }
  for (const [what, record] of Object.entries(impossible)) {
    test(what, () => assert.equal(jobRecord.safeParse(record).success, false))
  }
})

describe('a record that a newer version wrote or a person edited is read as far as possible', () => {
  const read = (record: object) => jobRecord.parse(JSON.parse(JSON.stringify(record)))

  test('null counts as absent', () => {
    const { model: _, deadline: __, ...without } = aWaitingRecord()
    assert.deepEqual(read({ ...without, model: null, deadline: null, folded: null }), without)
  })

  test('a fraction is rounded', () => {
    assert.partialDeepStrictEqual(read({ ...aRunningRecord(), run: 1.0000001, createdAt: START + 0.4 }), {
      run: 1,
      createdAt: START,
    })
  })

  test('an unknown failure kind, outcome, reason or url is kept as text', () => {
    const attempts = [{ ...aWaitingRecord().attempts[0], outcome: 'throttled_by_moon' }]
    assert.partialDeepStrictEqual(read({ ...aWaitingRecord(), attempts, uncounted: { moon: 2 }, url: '/v1/files' }), {
      attempts: [{ outcome: 'throttled_by_moon' }],
      uncounted: { moon: 2 },
      url: '/v1/files',
    })
    const error = { kind: 'moon', message: 'm' }
    assert.partialDeepStrictEqual(read({ ...aDeadLetteredRecord(), error }), { error })
  })

  test('fields of a newer version are left out', () => {
    assert.deepEqual(read({ ...aRunningRecord(), moon: true }), aRunningRecord())
  })

  test('a lease that cannot be read is a long one: a live attempt is not taken over', () => {
    for (const leaseMs of [undefined, null, -1, 'long']) {
      assert.partialDeepStrictEqual(read({ ...aRunningRecord(), leaseMs }), { status: 'running', leaseMs: 900_000 })
    }
  })

  test('an attempt that cannot be read counts: it may have been billed', () => {
    const record = read({ ...aWaitingRecord(), attempts: [null, 'x', { endedAt: 'late', run: 1 }] })
    assert.equal(runSoFar(record).counted, 3)
  })

  test('a usage that cannot be read is unknown, and not 0', () => {
    assert.partialDeepStrictEqual(read({ ...aSucceededRecord, usage: 'many', finishReason: 1 }), {
      usageKnown: false,
      finishReason: 'unknown',
    })
  })

  test('the batch of a linked answer is read, and left out if it is no text', () => {
    assert.partialDeepStrictEqual(read({ ...aSucceededRecord, linkedFrom: 'nightly' }), { linkedFrom: 'nightly' })
    assert.deepEqual(read({ ...aSucceededRecord, linkedFrom: 7 }), { ...aSucceededRecord, linkedFrom: undefined })
  })

  test('an answer that is kept in an unknown place leaves its job succeeded', () => {
    assert.partialDeepStrictEqual(read({ ...aSucceededRecord, result: { in: 'bucket', uri: 'gs://b/o' } }), {
      status: 'succeeded',
      result: { in: 'elsewhere' },
    })
  })

  test('an error that cannot be read leaves its job dead-lettered', () => {
    assert.partialDeepStrictEqual(read({ ...aDeadLetteredRecord(), error: null }), {
      status: 'dead_lettered',
      error: { kind: 'unknown' },
    })
  })
})

describe('what the present run has behind it', () => {
  const ended = { owner: 'x', startedAt: START, endedAt: START, outcome: 'unknown' }
  const attempts = [
    { run: 1, n: 1, ...ended },
    { run: 2, n: 1, ...ended },
    { run: 2, n: 2, ...ended, cause: 'timeout' },
    { run: 2, n: 3, owner: 'a', startedAt: START },
  ]
  const folded = [
    { run: 1, n: 40, firstAt: START, lastAt: START },
    { run: 2, n: 3, firstAt: START, lastAt: START },
  ]
  const inRun = (run: number) => aRunningRecord({ run, attempts, folded })

  test('is counted without the attempt under way and without other runs', () => {
    assert.deepEqual(runSoFar(inRun(2)), { counted: 2, timeouts: 1, folded: 3 })
    assert.deepEqual(runSoFar(inRun(3)), { counted: 0, timeouts: 0, folded: 0 })
  })

  test('holds folded attempts apart from those that count, and both may have been billed', () => {
    assert.equal(unknownAttempts(inRun(2)), 46)
    assert.equal(unknownAttempts(inRun(2), 1), 41)
    assert.equal(unknownAttempts(aRunningRecord()), 0)
  })

  test('is not lost when the last release dropped the entries of folded attempts and kept their count', () => {
    const uncounted = { ambiguous: 43, throttled: 9 }
    assert.equal(unknownAttempts(aRunningRecord({ folded, uncounted })), 43)
    assert.equal(unknownAttempts(aRunningRecord({ uncounted })), 43)
    assert.equal(unknownAttempts(aRunningRecord({ folded: folded.slice(1), uncounted }), 2), 43)
  })
})
