import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { jobKey } from '../../shared/job/job.ts'
import { cancelJob } from '../../shared/store/cancel-job.ts'
import { openSqliteDocuments } from '../../shared/store/sqlite/sqlite-documents.ts'
import { startCloud } from '../stand-ins.ts'
import { DAY_MS, sha256 } from '../support/job-builders.ts'
import { startWorker, type TestWorker } from '../worker.ts'

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
