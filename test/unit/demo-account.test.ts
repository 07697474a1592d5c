import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { account, type Evidence } from '../../cli/demo/account.ts'
import type { Call } from '../../cli/demo/call-log.ts'
import type { JobRecord } from '../../shared/job/record.ts'
import {
  aDeadLetteredRecord,
  aRunningRecord,
  aSucceededRecord,
  aWaitingRecord,
  START,
} from '../support/job-builders.ts'

type Detail = Call['detail']

function aCall(operation: string, status: number | null, detail: Detail, durationMs = 0): Call {
  return { id: 1, at: START, operation, status, durationMs, detail }
}

function aPush(record: JobRecord, detail: Detail = {}, durationMs = 0): Call {
  const usual = { dataSha256: record.payloadHash ?? '', duplicate: false, acked: true }
  return aCall('push', 204, { ...usual, ...detail }, durationMs)
}

const usage = { promptTokens: 11, completionTokens: 7 }

function aPaidAsk({ key }: JobRecord, attempt = 1, durationMs = 0): Call {
  return aCall('chat', 200, { clientRequestId: `${key}.1.${attempt}`, billed: true, ...usage }, durationMs)
}

function aRefusedAsk({ key }: JobRecord, status: number | null): Call {
  return aCall('chat', status, { clientRequestId: `${key}.1.1`, promptTokens: 11 })
}

const answered: JobRecord = { ...aSucceededRecord, key: 'answered', id: 'doc-1', payloadHash: 'one' }
const failed = aDeadLetteredRecord({ key: 'failed', id: 'doc-2', payloadHash: 'two' })

/** Two jobs, one of which failed, and nothing is wrong. */
const healthy: Evidence = {
  total: 2,
  records: [answered, failed],
  pushes: [aPush(answered), aPush(failed)],
  asks: [aPaidAsk(answered), aRefusedAsk(failed, 400)],
  exchanges: [aCall('token', 200, {})],
  deadLetterKeys: new Set([failed.key]),
}

/** A batch of one job that was answered. */
function batchOf(record: JobRecord): Evidence {
  const evidence = { total: 1, records: [record], pushes: [aPush(record)], asks: [aPaidAsk(record)], exchanges: [] }
  return { ...evidence, deadLetterKeys: new Set() }
}

function problems(over: Partial<Evidence>): readonly string[] {
  return account({ ...healthy, ...over }).problems
}

function withUnknownAttempts(record: JobRecord, count: number): JobRecord {
  const lost = Array.from({ length: count }, (_, n) => {
    return { run: 1, n: n + 1, owner: `lost ${n}`, startedAt: START, endedAt: START + 1, outcome: 'unknown' } as const
  })
  return { ...record, attempts: [...lost, ...record.attempts] }
}

describe('what does not add up', () => {
  const waiting = aWaitingRecord({ id: 'doc-1' })
  const running = aRunningRecord({ id: 'doc-1' })
  const other: JobRecord = { ...answered, key: 'answered-too', id: 'doc-3' }
  const unknownOnce = [withUnknownAttempts(answered, 1), failed]
  const paidTwice = [aPaidAsk(answered), aPaidAsk(answered, 2)]
  const unanswered = '"doc-1" has an answer that no model gave'
  const notAcked = '"doc-1" was never acknowledged'
  const cases: readonly (readonly [string, Partial<Evidence>, ...string[]])[] = [
    ['is nothing in a healthy batch', {}],
    ['is a job without a record', { total: 3 }, '1 of 3 jobs have no record'],
    ['is a record without a job', { total: 1 }, '1 records belong to no submitted job'],
    [
      'is a job that waits when nothing delivers it any more',
      { records: [waiting, failed] },
      '"doc-1" is waiting, though its message is gone',
    ],
    [
      'is a job that runs when nothing delivers it any more',
      { records: [running, failed] },
      '"doc-1" is running, though its message is gone',
    ],
    [
      'is a job that was paid for twice without an unknown outcome',
      { asks: [...healthy.asks, aPaidAsk(answered, 2)] },
      '"doc-1" was paid for 2 times, with 0 unknown outcomes',
    ],
    [
      'is a job that was paid for once in each of two runs, because the demo replays nothing',
      { asks: [...healthy.asks, aCall('chat', 200, { clientRequestId: `${answered.key}.2.1`, billed: true })] },
      '"doc-1" was paid for 2 times, with 0 unknown outcomes',
    ],
    ['is not a job that was paid for once more for an unknown outcome', { records: unknownOnce, asks: paidTwice }],
    [
      'is a job that was paid for twice more for one unknown outcome',
      { records: unknownOnce, asks: [...paidTwice, aPaidAsk(answered, 3)] },
      '"doc-1" was paid for 3 times, with 1 unknown outcomes',
    ],
    [
      "is not another job's payment",
      { total: 3, records: [...healthy.records, other], asks: [...healthy.asks, aPaidAsk(other)] },
    ],
    ['is an answer that no model gave', { asks: [] }, unanswered],
    ['is an answer that was never paid for', { asks: [aRefusedAsk(answered, 500)] }, unanswered],
    [
      'is a failure whose message is kept as no dead letter',
      { deadLetterKeys: new Set([answered.key]) },
      '"doc-2" is dead-lettered, and its message is not kept as a dead letter',
    ],
    ['is a job whose push failed', { pushes: [aPush(answered, { acked: false }), aPush(failed)] }, notAcked],
    ['is a job that was never pushed', { pushes: [aPush(failed)] }, notAcked],
  ]
  for (const [what, evidence, ...expected] of cases) {
    test(what, () => assert.deepEqual(problems(evidence), expected))
  }

  test('is reported for every job at once', () => {
    assert.equal(problems({ total: 3, asks: [], pushes: [], deadLetterKeys: new Set() }).length, 5)
  })
})

describe('the figures', () => {
  test('of a healthy batch', () => {
    assert.deepEqual(account(healthy), {
      ...{ jobs: 2, succeeded: 1, deadLettered: 1 },
      ...{ pushes: 2, duplicates: 0, deferred: 0 },
      ...{ modelCalls: 2, paidCalls: 1, throttledCalls: 0, unknownOutcomes: 0 },
      ...{ tokenExchanges: 1, failedExchanges: 0 },
      ...usage,
      addedLatencyMs: { p50: 0, p95: 0 },
      problems: [],
    })
  })

  test('distinguish the pushes that were sent twice and those that were deferred', () => {
    const pushes = [
      aPush(answered),
      aPush(answered, { duplicate: true }),
      aPush(failed, { acked: false }),
      aPush(failed, { duplicate: true, acked: false }),
      aPush(failed),
    ]
    assert.partialDeepStrictEqual(account({ ...healthy, pushes }), { pushes: 5, duplicates: 2, deferred: 2 })
  })

  test('distinguish the model calls that were paid, throttled and cut', () => {
    const asks = [
      aPaidAsk(answered),
      aCall('chat', null, { clientRequestId: 'answered.1.2', billed: true, ...usage }),
      aRefusedAsk(failed, 429),
      aRefusedAsk(failed, null),
    ]
    const { modelCalls, paidCalls, throttledCalls, promptTokens, completionTokens } = account({ ...healthy, asks })
    assert.deepEqual({ modelCalls, paidCalls, throttledCalls }, { modelCalls: 4, paidCalls: 2, throttledCalls: 1 })
    assert.deepEqual({ promptTokens, completionTokens }, { promptTokens: 22, completionTokens: 14 })
  })

  test('count each unknown outcome, and the token exchanges by how they ended', () => {
    const exchanges = [200, 503, 200, null].map((status) => aCall('token', status, {}))
    const records = [withUnknownAttempts(answered, 2), withUnknownAttempts(failed, 1)]
    assert.partialDeepStrictEqual(account({ ...healthy, records, exchanges }), {
      ...{ unknownOutcomes: 3, tokenExchanges: 2, failedExchanges: 2 },
    })
  })
})

describe('the added latency', () => {
  /** Jobs of which the n-th spent n milliseconds outside of the model. */
  function addedLatencyOf(jobs: number) {
    const records = Array.from({ length: jobs }, (_, n) => ({ ...answered, key: `key-${n}`, payloadHash: `hash-${n}` }))
    const pushes = records.map((record, n) => aPush(record, {}, 100 + n + 1)).reverse()
    const asks = records.map((record) => aPaidAsk(record, 1, 100))
    return account({ ...healthy, records, pushes, asks }).addedLatencyMs
  }

  for (const [jobs, p50, p95] of [
    [1, 1, 1],
    [2, 1, 2],
    [3, 2, 3],
    [19, 10, 19],
    [20, 10, 19],
    [21, 11, 20],
    [100, 50, 95],
  ] as const) {
    test(`of ${jobs} jobs is what the delivery in the middle, and the twentieth from the top, took beyond the model`, () => {
      assert.deepEqual(addedLatencyOf(jobs), { p50, p95 })
    })
  }

  test('is unknown without a job to measure it by', () => {
    assert.equal(addedLatencyOf(0), undefined)
  })

  test('leaves out jobs that were pushed or asked more than once, or never asked', () => {
    const batch = batchOf(answered)
    assert.deepEqual(account(batch).addedLatencyMs, { p50: 0, p95: 0 })
    assert.equal(account({ ...batch, pushes: [...batch.pushes, aPush(answered)] }).addedLatencyMs, undefined)
    assert.equal(account({ ...batch, asks: [...batch.asks, aRefusedAsk(answered, 429)] }).addedLatencyMs, undefined)
    assert.equal(account({ ...batch, asks: [] }).addedLatencyMs, undefined)
  })
})
