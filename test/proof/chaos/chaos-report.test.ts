import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Call } from '../../../local/call-log.ts'
import { aSucceededRecord, START } from '../../support/job-builders.ts'
import type { Evidence } from './evidence.ts'
import { countEvidence, holds, printReport, type Report } from './report.ts'

function aPush(messageId: string, dataSha256: string, afterMs: number, over: Call['detail'] = {}): Call {
  const detail = { messageId, dataSha256, acked: true, duplicate: false, deliveryAttempt: 1, ...over }
  return { id: 1, at: START, service: 'push', operation: 'jobs', status: 204, durationMs: afterMs, detail }
}

function anAsk(billed: boolean): Call {
  const detail = { clientRequestId: 'a.1.1', billed }
  return { id: 1, at: START, service: 'azure', operation: 'chat', status: 200, durationMs: 0, detail }
}

const lost = { run: 1, n: 0, owner: 'lost', startedAt: START, endedAt: START + 1, outcome: 'unknown' } as const

/** Three messages: one was acknowledged at once, one late, and one was rescued and replayed. */
const evidence: Evidence = {
  sent: ['one', 'two', 'three'].map((sha256) => ({ sha256, key: sha256, at: START })),
  records: [{ ...aSucceededRecord, attempts: [lost, ...aSucceededRecord.attempts] }],
  ...{ results: new Map(), letters: [], batches: [], events: [], ends: [], letterPushes: [] },
  pushes: [
    aPush('1', 'one', 100),
    aPush('1', 'one', 50, { duplicate: true }),
    aPush('2', 'two', 900),
    aPush('3', 'three', 10, { acked: false }),
    aPush('4', 'three', 5_000),
    aPush('5', 'three', 6_000),
  ],
  asks: [anAsk(true), anAsk(false)],
}

const report: Report = {
  ...{ seed: 7, store: 'sqlite', workers: 2, faultsLastedMs: 1_000, restedAfterMs: 500, replays: 1, sweeps: 3 },
  ...countEvidence(evidence, 1),
  ...{ faults: [{ kind: 'worker: kill', planned: 2, tookPlace: 2 }], shortfalls: [], breaches: [] },
}

describe('the report of a chaos run', () => {
  test('counts what happened', () => {
    const { pushes, model, messages, ended } = report
    assert.deepEqual([messages, ended], [3, { succeeded: 1 }])
    assert.deepEqual(pushes, { all: 6, duplicates: 1, deferred: 1 })
    assert.deepEqual(model, { calls: 2, paid: 1, unknownAttempts: 1 })
  })

  test('takes for rescued what was delivered, and neither submitted nor replayed', () => {
    assert.equal(report.rescues, 1)
    assert.equal(countEvidence(evidence, 2).rescues, 0)
  })

  test('has the time from a publish to its first acknowledgement', () => {
    assert.deepEqual(report.acknowledgedAfterMs, { p50: 900, p95: 5_000 })
    assert.equal(countEvidence({ ...evidence, pushes: [] }, 0).acknowledgedAfterMs, undefined)
  })

  test('says that everything held', () => {
    assert.ok(holds(report))
    assert.match(printReport(report), /2 of +2 {2}worker: kill\n.*everything held$/s)
  })

  test('says what did not, and what proves less than it should', () => {
    const breaches = [{ rule: 'a run ends once', what: 'a/1 did not' }]
    assert.ok(!holds({ ...report, breaches }))
    assert.match(printReport({ ...report, breaches }), /BROKEN {2}a run ends once: a\/1 did not\n1 breaches/)
    assert.ok(!holds({ ...report, shortfalls: ['only 1 of 2 took place: worker: kill'] }))
  })
})
