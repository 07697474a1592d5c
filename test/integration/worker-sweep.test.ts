import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { z } from 'zod'
import { DONE, type OnWorker, onWorker, type Scenario } from '../support/on-worker.ts'
import { HOUR_MS, OVERDUE_JOB as job, plant } from '../support/overdue-job.ts'
import { EVENTS, type TestWorker } from '../support/worker.ts'
import { withBatches } from '../support/worker-batches.ts'

const NOTHING = {
  jobs: { left: 0, expired: 0, tooOld: 0, released: 0, ended: 0, raced: 0, deferred: 0, refused: 0 },
  batches: { counted: 0, completed: 0, incomplete: 0, leftOut: 0, deferred: 0, refused: 0 },
  ...{ deferred: [], refused: [], outOfTime: false },
}
/** What a sweep did, and nothing else. */
const swept = (jobs: object, batches: object = {}) => ({
  status: 200,
  body: { ...NOTHING, jobs: { ...NOTHING.jobs, ...jobs }, batches: { ...NOTHING.batches, ...batches } },
})

const withEvents = (settings: Scenario, fact: (worker: OnWorker) => Promise<void>) =>
  onWorker({ EVENTS_TOPIC: EVENTS, ...settings }, fact)

async function sweep({ url }: Pick<TestWorker, 'url'>, init: RequestInit = {}) {
  const answer = await fetch(`${url}/sweep`, { method: 'POST', ...init })
  return { status: answer.status, body: z.record(z.string(), z.unknown()).parse(await answer.json()) }
}

const sealed = (worker: TestWorker, total: number, sealedAt = Date.now()) =>
  withBatches(worker, async (batches) => {
    await batches.open('nightly', 1)
    await batches.seal('nightly', total, sealedAt)
  })

async function eventsOf(worker: TestWorker) {
  return (await worker.events()).filter(({ attributes }) => attributes['ce-type']?.startsWith('promptbridge.batch.'))
}

const batchOf = (worker: TestWorker) => withBatches(worker, (batches) => batches.read('nightly'))
const statusOf = async (worker: TestWorker) => (await worker.record('doc-7', 'nightly'))?.status

describe('a sweep', () => {
  test('of a store in which all is well does nothing, and says so', () =>
    withEvents({}, async (worker) => {
      await worker.push(job)
      const before = await worker.record('doc-7', 'nightly')
      for (const init of [{}, { body: 'anything' }]) {
        assert.deepEqual(await sweep(worker, init), swept({}))
      }
      assert.deepEqual(await worker.record('doc-7', 'nightly'), before)
    }))

  test('releases the job of an instance that died, and its redelivery is attempt 2', () =>
    withEvents({}, async (worker) => {
      await plant(worker)
      assert.deepEqual(await sweep(worker), swept({ released: 1 }))
      assert.equal(await statusOf(worker), 'waiting')
      assert.deepEqual(await worker.push(job), DONE)
      const attempts = (await worker.record('doc-7', 'nightly'))?.attempts
      const outcomes = attempts?.map(({ n, outcome }) => `${n} ${outcome}`)
      assert.deepEqual(outcomes, ['1 unknown', '2 succeeded'])
    }))

  test('ends a job that has no attempt left, and the redelivery brings its dead letter', () =>
    withEvents({ ON_UNKNOWN: 'dead-letter' }, async (worker) => {
      await plant(worker)
      assert.deepEqual(await sweep(worker), swept({ ended: 1 }))
      assert.deepEqual(await worker.deadLetters(), [])
      assert.deepEqual(await worker.push(job), DONE)
      const [letter, ...more] = await worker.deadLetters()
      assert.deepEqual([letter?.attributes['pb-reason'], more], ['unknown', []])
      assert.deepEqual([await statusOf(worker), await worker.modelCalls()], ['dead_lettered', []])
    }))

  test('expires what waits past its deadline, and its redelivery is acknowledged', () =>
    withEvents({}, async (worker) => {
      await plant(worker, Date.now() - 1)
      assert.deepEqual(await sweep(worker), swept({ expired: 1 }))
      assert.deepEqual(await worker.push(job), DONE)
      assert.deepEqual([await statusOf(worker), await worker.modelCalls()], ['expired', []])
    }))

  test('of a store that is unavailable answers that it must be retried', () =>
    withEvents({}, async (worker) => {
      const bringBack = (['promptJobs', 'promptBatches'] as const).map((table) => worker.takeAway(table))
      assert.deepEqual(await sweep(worker), { status: 503, body: { reason: 'store' } })
      for (const each of bringBack) each()
      assert.deepEqual(await sweep(worker), swept({}))
    }))

  test('is answered to POST alone, and not begun by an instance that is about to end', () =>
    withEvents({}, async (worker) => {
      assert.equal((await fetch(`${worker.url}/sweep`)).status, 404)
      worker.drain.begin(0)
      assert.deepEqual(await sweep(worker), { status: 503, body: { reason: 'draining' } })
    }))
})

describe('a batch that is swept', () => {
  test('is counted while jobs are left, and completed and published once when all are settled', () =>
    withEvents({}, async (worker) => {
      await sealed(worker, 2)
      assert.deepEqual(await worker.push(job), DONE)
      assert.deepEqual(await sweep(worker), swept({}, { counted: 1 }))
      const half = await batchOf(worker)
      assert.partialDeepStrictEqual(half, { status: 'sealed', counts: { succeeded: 1 } })
      assert.deepEqual(await eventsOf(worker), [])

      assert.deepEqual(await worker.push({ ...job, id: 'doc-8', deadline: '2026-01-01T00:00:00Z' }), DONE)
      assert.deepEqual(await sweep(worker), swept({}, { counted: 1, completed: 1 }))
      assert.deepEqual(await sweep(worker), swept({}))
      const record = await worker.record('doc-7', 'nightly')
      assert.ok(record?.status === 'succeeded')
      const batch = await batchOf(worker)
      assert.ok(batch?.status === 'completed')
      const counts = { succeeded: 1, expired: 1 }
      assert.deepEqual([batch.counts, batch.tokens], [counts, record.usage])

      const [event, ...more] = await eventsOf(worker)
      assert.deepEqual(more, [])
      assert.partialDeepStrictEqual(event?.attributes, {
        ...{ 'ce-id': 'promptBatches/nightly/2/completed', 'ce-subject': 'promptBatches/nightly' },
        ...{ 'ce-time': new Date(batch.completedAt).toISOString(), batch: 'nightly', status: 'completed' },
      })
      const expected = { batch: 'nightly', total: 2, counts, tokens: record.usage, createdAt: 1 }
      const data: unknown = JSON.parse(Buffer.from(event?.data ?? []).toString())
      assert.deepEqual(data, { ...expected, completedAt: batch.completedAt })
    }))

  test('is completed although the message of a job is gone, when that job is too old', () =>
    withEvents({ MAX_JOB_AGE_DAYS: '2' }, async (worker) => {
      await sealed(worker, 2)
      await plant(worker, undefined, 7 * 24 * HOUR_MS)
      assert.deepEqual(await worker.push({ ...job, id: 'doc-8' }), DONE)
      assert.deepEqual(await sweep(worker), swept({ released: 1 }, { counted: 1 }))
      assert.deepEqual(await sweep(worker), swept({ tooOld: 1 }, { counted: 1, completed: 1 }))
      const record = await worker.record('doc-7', 'nightly')
      assert.ok(record?.status === 'dead_lettered')
      assert.deepEqual([record.error.kind, record.attempts.length], ['max_age', 1])
      assert.match(record.error.hint ?? '', /replay the job.*submit it in another batch/)
      const batch = await batchOf(worker)
      assert.deepEqual([batch?.status, batch?.counts], ['completed', { succeeded: 1, dead_lettered: 1 }])
      assert.equal((await eventsOf(worker)).length, 1)
      // Should the message turn up after all, its letter follows, and its replay runs.
      assert.deepEqual(await worker.push(job), DONE)
      assert.equal((await worker.deadLetters())[0]?.attributes['pb-reason'], 'max_age')
      assert.deepEqual(await worker.push(job, { attributes: { 'pb-run': '2' } }), DONE)
      assert.equal(await statusOf(worker), 'succeeded')
    }))

  test('is incomplete, and published once, when some of its jobs have no record long after it was sealed', () =>
    withEvents({ MAX_JOB_AGE_DAYS: '2' }, async (worker) => {
      const sealedAt = Date.now() - 3 * 24 * HOUR_MS
      await sealed(worker, 2, sealedAt)
      await worker.push(job)
      assert.deepEqual(await sweep(worker), swept({}, { counted: 1, incomplete: 1 }))
      assert.deepEqual(await sweep(worker), swept({}))
      const batch = await batchOf(worker)
      assert.ok(batch?.status === 'incomplete')
      const [event, ...more] = await eventsOf(worker)
      assert.deepEqual(more, [])
      assert.partialDeepStrictEqual(event?.attributes, {
        ...{ 'ce-id': 'promptBatches/nightly/2/incomplete', 'ce-type': 'promptbridge.batch.incomplete' },
        ...{ batch: 'nightly', status: 'incomplete' },
      })
      assert.partialDeepStrictEqual(JSON.parse(Buffer.from(event?.data ?? []).toString()), {
        ...{ batch: 'nightly', total: 2, counts: { succeeded: 1 }, incompleteAt: batch.incompleteAt },
      })
    }))
})
