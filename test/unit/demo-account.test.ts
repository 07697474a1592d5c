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
  test('is nothing in a healthy batch', () => {
    assert.deepEqual(problems({}), [])
  })

  test('is a job without a record', () => {
    assert.deepEqual(problems({ total: 3 }), ['1 of 3 jobs have no record'])
  })

  test('is a record without a job', () => {
    assert.deepEqual(problems({ total: 1 }), ['1 records belong to no submitted job'])
  })

  test('is a job that is still to be run when nothing delivers it any more', () => {
    const waiting = aWaitingRecord({ id: 'doc-1' })
    assert.deepEqual(problems({ records: [waiting, failed] }), ['"doc-1" is waiting, though its message is gone'])
    const running = aRunningRecord({ id: 'doc-1' })
    assert.deepEqual(problems({ records: [running, failed] }), ['"doc-1" is running, though its message is gone'])
  })

  test('is a job that was paid for twice without an unknown outcome', () => {
    const asks = [...healthy.asks, aPaidAsk(answered, 2)]
    assert.deepEqual(problems({ asks }), ['"doc-1" was paid for 2 times, with 0 unknown outcomes'])
  })

  test('is not a job that was paid for once more for each unknown outcome', () => {
    const records = [withUnknownAttempts(answered, 1), failed]
    const twice = [aPaidAsk(answered), aPaidAsk(answered, 2)]
    assert.deepEqual(problems({ records, asks: twice }), [])
    assert.deepEqual(problems({ records, asks: [...twice, aPaidAsk(answered, 3)] }), [
      '"doc-1" was paid for 3 times, with 1 unknown outcomes',
    ])
  })

  test("is not another job's payment", () => {
    const other: JobRecord = { ...answered, key: 'answered-too', id: 'doc-3' }
    const asks = [...healthy.asks, aPaidAsk(other)]
    assert.deepEqual(problems({ total: 3, records: [...healthy.records, other], asks }), [])
  })

  test('is an answer that no model gave', () => {
    assert.deepEqual(problems({ asks: [] }), ['"doc-1" has an answer that no model gave'])
  })

  test('is an answer that was never paid for', () => {
    assert.deepEqual(problems({ asks: [aRefusedAsk(answered, 500)] }), ['"doc-1" has an answer that no model gave'])
  })

  test('is a failure whose message is kept as no dead letter', () => {
    assert.deepEqual(problems({ deadLetterKeys: new Set([answered.key]) }), [
      '"doc-2" is dead-lettered, and its message is not kept as a dead letter',
    ])
  })

  test('is a job without an acknowledgement', () => {
    const pushes = [aPush(answered, { acked: false }), aPush(failed)]
    assert.deepEqual(problems({ pushes }), ['"doc-1" was never acknowledged'])
    assert.deepEqual(problems({ pushes: [aPush(failed)] }), ['"doc-1" was never acknowledged'])
  })

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

  test('is what a delivery took beyond the model, in the middle and at the twentieth from the top', () => {
    assert.deepEqual(addedLatencyOf(1), { p50: 1, p95: 1 })
    assert.deepEqual(addedLatencyOf(2), { p50: 1, p95: 2 })
    assert.deepEqual(addedLatencyOf(3), { p50: 2, p95: 3 })
    assert.deepEqual(addedLatencyOf(19), { p50: 10, p95: 19 })
    assert.deepEqual(addedLatencyOf(20), { p50: 10, p95: 19 })
    assert.deepEqual(addedLatencyOf(21), { p50: 11, p95: 20 })
    assert.deepEqual(addedLatencyOf(100), { p50: 50, p95: 95 })
  })

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
