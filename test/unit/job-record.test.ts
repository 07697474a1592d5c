import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { countedAttempts, isSettled, jobRecord, settledIn } from '../../shared/job/record.ts'
import { cancelledUnseen } from '../../shared/store/record-changes.ts'
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

test('of a batch, all are settled but those that run or wait, and none where no status is told', () => {
  const counts = { running: 1, waiting: 2, succeeded: 4, dead_lettered: 8, cancelled: 16, expired: 32 }
  assert.equal(settledIn(counts), 60)
  assert.equal(settledIn({}), 0)
})

describe('an impossible record is not read', () => {
  const { leaseMs: _, ...withoutLease } = aRunningRecord()
  const { error: __, ...withoutError } = aDeadLetteredRecord()
  const impossible = {
    'running without a lease': withoutLease,
    'running under a lease below zero': { ...aRunningRecord(), leaseMs: -1 },
    'dead-lettered without a reason': withoutError,
    'dead-lettered for no reason we know': { ...aDeadLetteredRecord(), error: { kind: 'mood', message: '' } },
    'succeeded without an answer': { ...aDeadLetteredRecord(), status: 'succeeded' },
    'of no state we know': { ...aRunningRecord(), status: 'paused' },
    'of no url we know': { ...aRunningRecord(), url: '/v1/files' },
  }
  for (const [what, record] of Object.entries(impossible)) {
    test(what, () => assert.equal(jobRecord.safeParse(record).success, false))
  }
})

test('the attempts that count are the ended ones of the present run', () => {
  const ended = { owner: 'x', startedAt: START, endedAt: START }
  const attempts = [
    { run: 1, n: 1, ...ended },
    { run: 2, n: 1, ...ended },
    { run: 2, n: 2, ...ended },
    { run: 2, n: 3, owner: 'a', startedAt: START },
  ]
  assert.equal(countedAttempts(aRunningRecord({ run: 2, attempts })), 2)
  assert.equal(countedAttempts(aRunningRecord({ run: 1, attempts })), 1)
  assert.equal(countedAttempts(aRunningRecord({ run: 3, attempts })), 0)
})
