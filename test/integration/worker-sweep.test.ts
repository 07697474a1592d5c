import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { z } from 'zod'
import { parseJob } from '../../shared/job/parse-job.ts'
import { openQueueReport } from '../../shared/queues/sqlite/queue-report.ts'
import { createJobStore } from '../../shared/stores/job-store/create-job-store.ts'
import { openSqliteDocuments } from '../../shared/stores/sqlite/sqlite-documents.ts'
import { aClaim, sha256 } from '../support/job-builders.ts'
import { startCloud } from '../support/stand-ins.ts'
import { startWorker, type TestWorker } from '../support/worker.ts'
import { withBatches } from '../support/worker-batches.ts'

const EVENTS = 'events'
const HOUR_MS = 3_600_000
const job = {
  ...{ id: 'doc-7', batch: 'nightly', url: '/v1/chat/completions' },
  body: { messages: [{ role: 'user', content: 'Bridges carry people over water, in all weathers.' }] },
}
const nothing = {
  jobs: { left: 0, expired: 0, tooOld: 0, released: 0, ended: 0, raced: 0, deferred: 0, refused: 0 },
  batches: { counted: 0, completed: 0, incomplete: 0, leftOut: 0, deferred: 0, refused: 0 },
  ...{ deferred: [], refused: [], outOfTime: false },
}

const cloud = await startCloud()
after(() => cloud.close())
const start = (settings = {}) => startWorker(cloud, { settings: { EVENTS_TOPIC: EVENTS, ...settings } })

async function sweep({ url }: Pick<TestWorker, 'url'>, init: RequestInit = {}) {
  const answer = await fetch(`${url}/sweep`, { method: 'POST', ...init })
  return { status: answer.status, body: z.record(z.string(), z.unknown()).parse(await answer.json()) }
}

/** Lets a job stand as an instance left it when it died; with a deadline it waits for its next attempt. */
async function plant({ file }: TestWorker, deadline?: number, agoMs = HOUR_MS): Promise<void> {
  const ago = Date.now() - agoMs
  const documents = await openSqliteDocuments(file, () => ago)
  const parsed = parseJob(Buffer.from(JSON.stringify(job)), {}, sha256)
  assert.ok(parsed.ok)
  const store = createJobStore(documents, HOUR_MS)
  const claim = await store.claim(aClaim({ job: { ...parsed.job, deadline }, owner: 'dead', now: ago }))
  assert.ok(claim.kind === 'run')
  if (deadline !== undefined) await store.release(claim.held, { marks: 'none', kind: 'throttled' }, ago)
  documents.close()
}

const sealed = (worker: TestWorker, total: number, sealedAt = Date.now()) =>
  withBatches(worker, async (batches) => {
    await batches.open('nightly', 1)
    await batches.seal('nightly', total, sealedAt)
  })

async function eventsOf({ file }: TestWorker) {
  const report = await openQueueReport(file)
  const events = await report.list(EVENTS, { limit: 100 })
  report.close()
  return events.filter(({ attributes }) => attributes['ce-type']?.startsWith('promptbridge.batch.'))
}

const statusOf = async (worker: TestWorker) => (await worker.record('doc-7', 'nightly'))?.status

describe('a sweep', () => {
  test('of a store in which all is well does nothing, and says so', async () => {
    await using worker = await start()
    await worker.push(job)
    const before = await worker.record('doc-7', 'nightly')
    for (const init of [{}, { body: 'anything' }]) {
      assert.deepEqual(await sweep(worker, init), { status: 200, body: nothing })
    }
    assert.deepEqual(await worker.record('doc-7', 'nightly'), before)
  })

  test('releases the job of an instance that died, and its redelivery is attempt 2', async () => {
    await using worker = await start()
    await plant(worker)
    assert.deepEqual((await sweep(worker)).body, { ...nothing, jobs: { ...nothing.jobs, released: 1 } })
    assert.equal(await statusOf(worker), 'waiting')
    assert.deepEqual(await worker.push(job), { status: 204 })
    const record = await worker.record('doc-7', 'nightly')
    assert.deepEqual(
      record?.attempts.map(({ n, outcome }) => [n, outcome]),
      [
        [1, 'unknown'],
        [2, 'succeeded'],
      ],
    )
  })

  test('ends a job that has no attempt left, and the redelivery brings its dead letter', async () => {
    await using worker = await start({ ON_UNKNOWN: 'dead-letter' })
    await plant(worker)
    assert.deepEqual((await sweep(worker)).body, { ...nothing, jobs: { ...nothing.jobs, ended: 1 } })
    assert.deepEqual(await worker.deadLetters(), [])
    assert.deepEqual(await worker.push(job), { status: 204 })
    const [letter, ...more] = await worker.deadLetters()
    assert.deepEqual([letter?.attributes['pb-reason'], more], ['unknown', []])
    assert.deepEqual([await statusOf(worker), await worker.modelCalls()], ['dead_lettered', []])
  })

  test('expires what waits past its deadline, and its redelivery is acknowledged', async () => {
    await using worker = await start()
    await plant(worker, Date.now() - 1)
    assert.deepEqual((await sweep(worker)).body, { ...nothing, jobs: { ...nothing.jobs, expired: 1 } })
    assert.deepEqual(await worker.push(job), { status: 204 })
    assert.deepEqual([await statusOf(worker), await worker.modelCalls()], ['expired', []])
  })

  test('by two instances at once does each job once', async () => {
    await using worker = await start()
    await using other = await start({ STORE: `sqlite:${worker.file}` })
    await plant(worker)
    const jobs = z.object({ jobs: z.object({ released: z.number() }) })
    const swept = await Promise.all([sweep(worker), sweep(other)])
    const released = swept.map(({ body }) => jobs.parse(body).jobs.released)
    assert.deepEqual(released.toSorted(), [0, 1])
    assert.equal((await worker.record('doc-7', 'nightly'))?.attempts.length, 1)
  })

  test('of a store that is unavailable answers that it must be retried', async () => {
    await using worker = await start()
    const giveBack = (['promptJobs', 'promptBatches'] as const).map((table) => worker.takeAway(table))
    assert.deepEqual(await sweep(worker), { status: 503, body: { reason: 'store' } })
    for (const each of giveBack) each()
    assert.deepEqual(await sweep(worker), { status: 200, body: nothing })
  })

  test('is not begun by an instance that is about to end', async () => {
    await using worker = await start()
    worker.drain.begin(0)
    assert.deepEqual(await sweep(worker), { status: 503, body: { reason: 'draining' } })
  })

  test('is answered to POST alone', async () => {
    await using worker = await start()
    assert.equal((await fetch(`${worker.url}/sweep`)).status, 404)
  })
})

describe('a batch that is swept', () => {
  test('is counted while jobs are left, and completed and published once when all are settled', async () => {
    await using worker = await start()
    await sealed(worker, 2)
    assert.deepEqual(await worker.push(job), { status: 204 })
    assert.deepEqual((await sweep(worker)).body['batches'], { ...nothing.batches, counted: 1 })
    const half = await withBatches(worker, (batches) => batches.read('nightly'))
    assert.partialDeepStrictEqual(half, { status: 'sealed', counts: { succeeded: 1 } })
    assert.deepEqual(await eventsOf(worker), [])

    assert.deepEqual(await worker.push({ ...job, id: 'doc-8', deadline: '2026-01-01T00:00:00Z' }), { status: 204 })
    assert.deepEqual((await sweep(worker)).body['batches'], { ...nothing.batches, counted: 1, completed: 1 })
    assert.deepEqual((await sweep(worker)).body, nothing)
    const record = await worker.record('doc-7', 'nightly')
    assert.ok(record?.status === 'succeeded')
    const batch = await withBatches(worker, (batches) => batches.read('nightly'))
    assert.ok(batch?.status === 'completed')
    const counts = { succeeded: 1, expired: 1 }
    assert.deepEqual([batch.counts, batch.tokens], [counts, record.usage])

    const [event, ...more] = await eventsOf(worker)
    assert.deepEqual(more, [])
    assert.partialDeepStrictEqual(event?.attributes, {
      ...{ 'ce-id': 'promptBatches/nightly/2/completed', 'ce-subject': 'promptBatches/nightly' },
      ...{ 'ce-time': new Date(batch.completedAt).toISOString(), batch: 'nightly', status: 'completed' },
    })
    const common = { batch: 'nightly', total: 2, counts, tokens: record.usage, createdAt: 1 }
    assert.deepEqual(JSON.parse(Buffer.from(event?.data ?? []).toString()), {
      ...common,
      completedAt: batch.completedAt,
    })
  })

  test('is completed although the message of a job is gone, when that job is too old', async () => {
    await using worker = await start({ MAX_JOB_AGE_DAYS: '2' })
    await sealed(worker, 2)
    await plant(worker, undefined, 7 * 24 * HOUR_MS)
    assert.deepEqual(await worker.push({ ...job, id: 'doc-8' }), { status: 204 })
    assert.deepEqual((await sweep(worker)).body, {
      ...nothing,
      jobs: { ...nothing.jobs, released: 1 },
      batches: { ...nothing.batches, counted: 1 },
    })
    const { body } = await sweep(worker)
    assert.deepEqual(body, {
      ...nothing,
      jobs: { ...nothing.jobs, tooOld: 1 },
      batches: { ...nothing.batches, counted: 1, completed: 1 },
    })
    const record = await worker.record('doc-7', 'nightly')
    assert.ok(record?.status === 'dead_lettered')
    assert.deepEqual([record.error.kind, record.attempts.length], ['max_age', 1])
    assert.match(record.error.hint ?? '', /replay the job.*submit it in another batch/)
    const batch = await withBatches(worker, (batches) => batches.read('nightly'))
    assert.deepEqual([batch?.status, batch?.counts], ['completed', { succeeded: 1, dead_lettered: 1 }])
    assert.equal((await eventsOf(worker)).length, 1)
    // Should the message turn up after all, its letter follows, and its replay runs.
    assert.deepEqual(await worker.push(job), { status: 204 })
    assert.equal((await worker.deadLetters())[0]?.attributes['pb-reason'], 'max_age')
    assert.deepEqual(await worker.push(job, { attributes: { 'pb-run': '2' } }), { status: 204 })
    assert.equal(await statusOf(worker), 'succeeded')
  })

  test('is incomplete, and published once, when some of its jobs have no record long after it was sealed', async () => {
    await using worker = await start({ MAX_JOB_AGE_DAYS: '2' })
    const sealedAt = Date.now() - 3 * 24 * HOUR_MS
    await sealed(worker, 2, sealedAt)
    await worker.push(job)
    assert.deepEqual((await sweep(worker)).body['batches'], { ...nothing.batches, counted: 1, incomplete: 1 })
    assert.deepEqual((await sweep(worker)).body, nothing)
    const batch = await withBatches(worker, (batches) => batches.read('nightly'))
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
  })

  test('is completed only when its event is published', async () => {
    await using worker = await start()
    await sealed(worker, 1)
    await worker.push(job)
    const giveBack = worker.takeAway('messages')
    assert.deepEqual((await sweep(worker)).body['batches'], { ...nothing.batches, counted: 1, deferred: 1 })
    giveBack()
    assert.deepEqual((await sweep(worker)).body['batches'], { ...nothing.batches, counted: 1, completed: 1 })
    assert.equal((await eventsOf(worker)).length, 1)
  })

  test('is completed without an event where no events topic is set', async () => {
    await using worker = await start({ EVENTS_TOPIC: undefined })
    await sealed(worker, 1)
    await worker.push(job)
    assert.deepEqual((await sweep(worker)).body['batches'], { ...nothing.batches, counted: 1, completed: 1 })
  })
})
