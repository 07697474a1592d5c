import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Call } from '../../../local/call-log.ts'
import type { JobRecord } from '../../../shared/job/record.ts'
import { cancelledUnseen } from '../../../shared/job/transitions.ts'
import type { Batch } from '../../../shared/stores/batch-store.ts'
import type { DeadLetter } from '../../../shared/stores/dead-letter-store.ts'
import {
  aDeadLetteredRecord,
  aRunningRecord,
  aSucceededRecord,
  aWaitingRecord,
  START,
} from '../../support/job-builders.ts'
import type { Evidence, SeenEvent } from './evidence.ts'
import { judge, RULES } from './rules.ts'

type Detail = Call['detail']

const answered: JobRecord = { ...aSucceededRecord, key: 'answered', payloadHash: 'one' }
const failed = aDeadLetteredRecord({ key: 'failed', payloadHash: 'two' })
const answer = '{"choices":[]}'

function aCall(operation: string, status: number | null, detail: Detail): Call {
  return { id: 1, at: START, service: operation, operation, status, durationMs: 0, detail }
}

function aPush(dataSha256: string, acked = true): Call {
  return aCall('push', acked ? 204 : 503, { dataSha256, acked, duplicate: false })
}

function anAsk(clientRequestId: string, over: Detail = {}, status: number | null = 200): Call {
  return aCall('chat', status, { clientRequestId, requestId: 'request-1', billed: true, ...over })
}

function anEvent({ key, run, status }: Pick<JobRecord, 'key' | 'run' | 'status'>, data = '{}'): SeenEvent {
  return { id: `${key}/${run}/${status}`, type: `promptbridge.job.${status}`, data }
}

const letter: DeadLetter = {
  ...{
    id: 'failed:1',
    key: 'failed',
    jobId: 'doc-7',
    batch: 'nightly',
    run: 1,
    reason: 'rejected',
    message: 'refused',
  },
  ...{ attributes: {}, data: { bytes: 3, sha256: 'two' }, firstAt: START, lastAt: START, times: 1 },
  ...{ replays: { n: 0 }, expireAt: START },
}

const batch = {
  ...{ status: 'completed', name: 'nightly', createdAt: START, total: 2, completedAt: START, sweptAt: START },
  counts: { succeeded: 1, dead_lettered: 1 },
} as const satisfies Batch

const published = {
  answered: anEvent(answered, `{"id":"doc-7","result":${answer}}`),
  failed: anEvent(failed),
  batch: { id: 'promptBatches/nightly/2/completed', type: 'promptbridge.batch.completed', data: '{}' },
}

/** A batch of two jobs, one of which failed, and nothing is wrong. */
const healthy: Evidence = {
  sent: [
    { sha256: 'one', key: 'answered', at: START },
    { sha256: 'two', key: 'failed', at: START },
  ],
  records: [answered, failed],
  results: new Map([['answered', answer]]),
  letters: [letter],
  batches: [batch],
  events: Object.values(published),
  pushes: [aPush('one'), aPush('two')],
  letterPushes: [],
  asks: [anAsk('answered.1.1'), anAsk('failed.1.1', { billed: false }, 400)],
  ends: [{ worker: 0, wasAsked: true, code: 0, tookMs: 10 }],
}

/** A run whose first attempt has an unknown outcome. */
function withUnknown(record: JobRecord): JobRecord {
  const lost = { run: 1, n: 0, owner: 'lost', startedAt: START, endedAt: START + 1, outcome: 'unknown' } as const
  return { ...record, attempts: [lost, ...record.attempts] }
}

/** A breach for each rule, planted in what was gathered; some have several. */
const planted: readonly (readonly [rule: string, what: string, over: Partial<Evidence>])[] = [
  [
    'an acknowledged message has ended',
    'a message that is gone without a trace',
    { sent: [...healthy.sent, { sha256: 'three', at: START }], pushes: [...healthy.pushes, aPush('three')] },
  ],
  [
    'an acknowledged message has ended',
    'another payload of the same job, without a dead letter of its own',
    {
      sent: [...healthy.sent, { sha256: 'three', key: 'answered', at: START }],
      pushes: [...healthy.pushes, aPush('three')],
    },
  ],
  [
    'every message is acknowledged in the end',
    'one that is still deferred',
    { pushes: [aPush('one'), aPush('two', false)] },
  ],
  [
    'no job is left in the middle',
    'a running one',
    { records: [answered, failed, { ...aRunningRecord(), batch: '', key: 'held' }] },
  ],
  [
    'no job is left in the middle',
    'a waiting one',
    { records: [answered, failed, { ...aWaitingRecord(), batch: '', key: 'deferred' }] },
  ],
  ['a run ends once', 'two ends', { events: [...healthy.events, anEvent({ ...failed, status: 'cancelled' })] }],
  ['a run ends once', 'two answers', { events: [...healthy.events, anEvent(answered, '{"result":"another"}')] }],
  [
    'an end that was published stands',
    'a record that was overwritten',
    { events: [...healthy.events, anEvent({ ...answered, status: 'expired' })] },
  ],
  [
    'an end that was published stands',
    'a run that went back',
    { events: [...healthy.events, anEvent({ ...answered, run: 2 })] },
  ],
  [
    'an end that was published stands',
    'a record that is gone',
    { events: [...healthy.events, anEvent({ ...answered, key: 'gone' })] },
  ],
  ['every end is published', 'a silent success', { events: [published.failed, published.batch] }],
  ['an answer is one that the model gave, and the one that is published', 'an answer from nowhere', { asks: [] }],
  [
    'an answer is one that the model gave, and the one that is published',
    'the answer of another run',
    { asks: [anAsk('answered.2.1')] },
  ],
  ['an answer is one that the model gave, and the one that is published', 'a lost answer', { results: new Map() }],
  [
    'an answer is one that the model gave, and the one that is published',
    'an answer that changed',
    { results: new Map([['answered', '{"choices":[1]}']]) },
  ],
  [
    'a run is paid once, but for counted unknowns',
    'a second paid call',
    { asks: [...healthy.asks, anAsk('answered.1.2')] },
  ],
  [
    'a run is paid once, but for counted unknowns',
    'more unknown attempts than are counted',
    {
      records: [withUnknown(answered), failed],
      asks: [...healthy.asks, anAsk('answered.1.2'), anAsk('answered.1.3', { billed: false }, null)],
    },
  ],
  [
    'an attempt is sent once',
    'the same attempt, sent again',
    {
      records: [withUnknown(answered), failed],
      asks: [...healthy.asks, anAsk('answered.1.1', { billed: true }, null)],
    },
  ],
  [
    'an attempt is not taken over while the model works on it',
    'a takeover that did not wait for the lease',
    {
      records: [withUnknown(answered), failed],
      asks: [...healthy.asks, { ...anAsk('answered.1.0'), at: START - 100, durationMs: 200 }],
    },
  ],
  ['a dead-lettered run has a dead letter', 'a letter that is lost', { letters: [] }],
  [
    'a dead-lettered run has a dead letter',
    'the lost letter of a run that was replayed',
    { records: [answered, { ...failed, run: 2 }], letters: [{ ...letter, run: 2 }] },
  ],
  ['a dead letter says why', 'one that does not', { letters: [{ ...letter, reason: '' }] }],
  ['a replay runs', 'one that left no trace', { letters: [{ ...letter, replays: { n: 1 } }] }],
  [
    'the totals of a batch agree, and its end is published',
    'a job that is missing',
    { batches: [{ ...batch, total: 3, counts: { succeeded: 2, dead_lettered: 1 } }] },
  ],
  [
    'the totals of a batch agree, and its end is published',
    'jobs that are counted as something else',
    { batches: [{ ...batch, counts: { succeeded: 2 } }] },
  ],
  [
    'the totals of a batch agree, and its end is published',
    'one that never ends',
    { batches: [{ status: 'sealed', name: 'nightly', createdAt: START, total: 2 }] },
  ],
  [
    'the totals of a batch agree, and its end is published',
    'a silent end',
    { events: [published.answered, published.failed] },
  ],
  [
    'a worker ends only when it is asked, in order and in time',
    'a crash',
    { ends: [{ worker: 1, wasAsked: false, code: 1, tookMs: 0 }] },
  ],
  [
    'a worker ends only when it is asked, in order and in time',
    'a drain that had to be broken off',
    { ends: [{ worker: 1, wasAsked: true, code: null, tookMs: 5_000 }] },
  ],
  [
    'a worker ends only when it is asked, in order and in time',
    'a drain that Cloud Run would not wait for',
    { ends: [{ worker: 1, wasAsked: true, code: 0, tookMs: 30_001 }] },
  ],
]

describe('what a chaos run is judged by', () => {
  test('finds nothing where nothing is wrong', () => {
    assert.deepEqual(judge(healthy), [])
  })

  test('accepts an event that the last release repeats without the field that it does not read', () => {
    const repeated = anEvent(
      answered,
      `{"id":"doc-7","usageKnown":false,"cost":{"usd":1,"asOf":"2026-08-21"},"result":${answer}}`,
    )
    assert.deepEqual(judge({ ...healthy, events: [...healthy.events, repeated] }), [])
  })

  test('accepts an attempt number that is used again after the last release dropped a folded answer', () => {
    const asks = [anAsk('answered.1.1', { billed: false }, null), anAsk('answered.1.1')]
    const unavailable = anAsk('answered.1.1', { billed: false }, 503)
    const evidence = { ...healthy, records: [withUnknown(withUnknown(answered)), failed] }
    const found = (own: readonly Call[]) => judge({ ...evidence, asks: [...own, ...healthy.asks.slice(1)] })
    assert.deepEqual(found([unavailable, ...asks]), [])
    assert.deepEqual(
      found(asks).map(({ rule }) => rule),
      ['an attempt is sent once'],
    )
  })

  for (const [rule, what, over] of planted) {
    test(`finds ${what}: ${rule}`, () => {
      const found = judge({ ...healthy, ...over }).map((breach) => breach.rule)
      assert.ok(found.includes(rule), `found: ${found.join('; ')}`)
    })
  }

  test('has a planted breach for each rule', () => {
    assert.deepEqual(new Set(planted.map(([rule]) => rule)), new Set(Object.keys(RULES)))
  })

  test('accepts a second paid call where the first is counted as unknown', () => {
    const asks = [...healthy.asks, anAsk('answered.1.2')]
    assert.deepEqual(judge({ ...healthy, records: [withUnknown(answered), failed], asks }), [])
  })

  const unseen = cancelledUnseen({ key: 'unseen', id: 'doc-8', batch: '' }, { now: START, expireAt: START })

  test('accepts a job that was cancelled and never published without an event', () => {
    assert.deepEqual(judge({ ...healthy, records: [...healthy.records, unseen] }), [])
  })

  test('finds a published job whose cancel has no event', () => {
    const sent = [...healthy.sent, { sha256: 'three', key: 'unseen', at: START }]
    const found = judge({ ...healthy, sent, records: [...healthy.records, unseen] }).map(({ rule }) => rule)
    assert.ok(found.includes('every end is published'), found.join('; '))
  })

  test('accepts a job that was cancelled before its first claim', () => {
    const evidence = {
      records: [...healthy.records, unseen],
      sent: [...healthy.sent, { sha256: 'three', key: 'unseen', at: START }],
      pushes: [...healthy.pushes, aPush('three')],
      events: [...healthy.events, anEvent(unseen)],
    }
    assert.deepEqual(judge({ ...healthy, ...evidence }), [])
  })

  test('accepts a message that was delivered too often and acknowledged as a dead letter', () => {
    const evidence = { pushes: [aPush('one'), aPush('two', false)], letterPushes: [aPush('two')] }
    assert.deepEqual(judge({ ...healthy, ...evidence }), [])
  })

  test('does not expect a new count of a batch for a replay after its end', () => {
    const replayed = { ...answered, run: 2, attempts: answered.attempts.map((each) => ({ ...each, run: 2 })) }
    const evidence = {
      records: [replayed, failed],
      events: [...healthy.events, anEvent({ ...answered, status: 'dead_lettered' }), anEvent(replayed, answer)],
      letters: [letter, { ...letter, id: 'answered:1', key: 'answered', replays: { n: 1 } }],
      asks: [anAsk('answered.2.1')],
    }
    const events = evidence.events.filter(({ id }) => id !== published.answered.id)
    assert.deepEqual(judge({ ...healthy, ...evidence, events }), [])
  })
})
