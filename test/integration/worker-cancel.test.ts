import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { jobKey } from '../../shared/job/job.ts'
import { cancelJob } from '../../shared/stores/cancel-job.ts'
import { openSqliteBatches } from '../../shared/stores/sqlite/sqlite-batches.ts'
import { openSqliteDocuments } from '../../shared/stores/sqlite/sqlite-documents.ts'
import { DAY_MS, sha256 } from '../support/job-builders.ts'
import { placeFault, startCloud } from '../support/stand-ins.ts'
import { startWorker, type TestWorker } from '../support/worker.ts'

const job = {
  id: 'doc-7',
  url: '/v1/chat/completions',
  body: { messages: [{ role: 'user', content: 'Bridges carry people over water, in all weathers.' }] },
}

const cloud = await startCloud()
after(() => cloud.close())

async function cancel({ file }: TestWorker, id: string, batch = '') {
  const documents = await openSqliteDocuments(file, Date.now)
  const now = Date.now()
  const named = { key: jobKey(batch, id, sha256), id, batch }
  const result = await cancelJob(documents, named, { now, expireAt: now + DAY_MS })
  documents.close()
  return result.kind
}

describe('a job that is cancelled', () => {
  test('before it comes is acknowledged, and the model is not asked', async () => {
    await using worker = await startWorker(cloud)
    assert.equal(await cancel(worker, job.id), 'cancelled')
    assert.deepEqual(await worker.push(job), { status: 204 })
    assert.deepEqual([await worker.modelCalls(), await worker.deadLetters()], [[], []])
    assert.equal((await worker.record(job.id))?.status, 'cancelled')
  })

  test('after it was answered keeps its answer', async () => {
    await using worker = await startWorker(cloud)
    assert.deepEqual(await worker.push(job), { status: 204 })
    assert.equal(await cancel(worker, job.id), 'settled')
    assert.equal((await worker.record(job.id))?.status, 'succeeded')
  })

  test('can be replayed: run 2 is asked', async () => {
    await using worker = await startWorker(cloud)
    await cancel(worker, job.id)
    assert.deepEqual(await worker.push(job, { attributes: { 'pb-run': '2' } }), { status: 204 })
    assert.equal((await worker.modelCalls()).length, 1)
    assert.equal((await worker.record(job.id))?.status, 'succeeded')
  })
})

async function cancelBatch({ file }: TestWorker, batch: string): Promise<void> {
  const batches = await openSqliteBatches(file)
  await batches.cancel(batch, Date.now())
  batches.close()
}

/** For an Azure stand-in that answers when the test lets it, once so many are asked. */
function holdAnswersTo(asks: number) {
  const asked = Promise.withResolvers<void>()
  const answers = Promise.withResolvers<void>()
  let waiting = 0
  const wait = () => {
    waiting += 1
    if (waiting === asks) asked.resolve()
    return answers.promise
  }
  return {
    options: { latency: { baseMs: 1 }, dependencies: { wait } },
    /** Resolves when all are being asked; rejects when a push ended before. */
    askedBy: (push: Promise<object>) =>
      Promise.race([asked.promise, push.then((answer) => assert.fail(JSON.stringify(answer)))]),
    letGo: () => answers.resolve(),
  }
}

describe('a batch that is cancelled', () => {
  const nightly = { ...job, batch: 'nightly' }

  test('has its jobs settled as they come, without a token, a call or a dead letter', async () => {
    await using worker = await startWorker(cloud)
    await placeFault(cloud.metadata, { kind: 'status', error: 'no_service_account' })
    await cancelBatch(worker, 'nightly')
    assert.deepEqual(await worker.push(nightly), { status: 204 })
    const record = await worker.record(job.id, 'nightly')
    assert.deepEqual([record?.status, record?.attempts], ['cancelled', []])
    assert.deepEqual([await worker.modelCalls(), await worker.deadLetters()], [[], []])
    assert.match(worker.logText(), /"outcome":"cancelled"/)
  })

  test('leaves the jobs of other batches, and of none, alone', async () => {
    await using worker = await startWorker(cloud)
    await cancelBatch(worker, 'nightly')
    for (const other of [job, { ...job, batch: 'daily' }]) assert.deepEqual(await worker.push(other), { status: 204 })
    assert.equal((await worker.record(job.id))?.status, 'succeeded')
    assert.equal((await worker.record(job.id, 'daily'))?.status, 'succeeded')
  })

  test('has what is in flight broken off: its attempt is unknown, and no circuit opens for it', async () => {
    await using started = new AsyncDisposableStack()
    const { options, askedBy, letGo } = holdAnswersTo(6)
    const cloud = started.use(await startCloud({ azure: options }))
    const worker = started.use(await startWorker(cloud))
    const ids = ['doc-1', 'doc-2', 'doc-3', 'doc-4', 'doc-5', 'doc-6']
    const pushes = ids.map((id) => worker.push({ ...nightly, id }))
    await askedBy(Promise.any(pushes))
    await cancelBatch(worker, 'nightly')
    for (const push of pushes) assert.deepEqual(await push, { status: 204 })
    for (const id of ids) {
      const record = await worker.record(id, 'nightly')
      assert.equal(record?.status, 'cancelled')
      assert.partialDeepStrictEqual(record?.attempts, [{ n: 1, outcome: 'unknown' }])
    }
    letGo()
    assert.deepEqual(await worker.push(job), { status: 204 })
    assert.equal((await worker.record(job.id))?.status, 'succeeded')
    assert.doesNotMatch(worker.logText(), /circuit_opened/)
  })

  test('stops no job while its controls cannot be read', async () => {
    await using worker = await startWorker(cloud)
    const giveBack = worker.takeAway('promptBatches')
    assert.deepEqual(await worker.push(nightly), { status: 204 })
    giveBack()
    assert.equal((await worker.record(job.id, 'nightly'))?.status, 'succeeded')
  })
})
