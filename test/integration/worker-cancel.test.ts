import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { jobKey } from '../../shared/job/job.ts'
import { cancelJob } from '../../shared/stores/cancel-job.ts'
import { openSqliteDocuments } from '../../shared/stores/sqlite/sqlite-documents.ts'
import { DAY_MS, sha256 } from '../support/job-builders.ts'
import { cloud, DONE, JOB, type OnWorker, onWorker } from '../support/on-worker.ts'
import { placeFault, startCloud } from '../support/stand-ins.ts'
import { holdAnswers, type TestWorker } from '../support/worker.ts'
import { withBatches } from '../support/worker-batches.ts'

async function cancel({ file }: TestWorker, id: string, batch = '') {
  const documents = await openSqliteDocuments(file, Date.now)
  const now = Date.now()
  const named = { key: jobKey(batch, id, sha256), id, batch }
  const result = await cancelJob(documents, named, { now, expireAt: now + DAY_MS })
  documents.close()
  return result.kind
}

describe('a job that is cancelled', () => {
  test('before it comes is acknowledged, and the model is not asked', () =>
    onWorker({}, async (worker) => {
      assert.equal(await cancel(worker, JOB.id), 'cancelled')
      assert.deepEqual(await worker.push(JOB), DONE)
      assert.deepEqual([await worker.modelCalls(), await worker.deadLetters()], [[], []])
      assert.equal((await worker.record(JOB.id))?.status, 'cancelled')
    }))
})

const cancelBatch = (worker: TestWorker) => withBatches(worker, (batches) => batches.cancel('nightly', Date.now()))

describe('a batch that is cancelled', () => {
  const nightly = { ...JOB, batch: 'nightly' }

  test('has its jobs settled as they come, without a token, a call or a dead letter', () =>
    onWorker({}, async (worker) => {
      await placeFault(cloud.metadata, { kind: 'status', error: 'no_service_account' })
      await cancelBatch(worker)
      assert.deepEqual(await worker.push(nightly), DONE)
      const record = await worker.record(JOB.id, 'nightly')
      assert.deepEqual([record?.status, record?.attempts], ['cancelled', []])
      assert.deepEqual([await worker.modelCalls(), await worker.deadLetters()], [[], []])
      assert.match(worker.logText(), /"outcome":"cancelled"/)
    }))

  test('has what is in flight aborted: its attempt is unknown, and no circuit opens for it', async () => {
    const { options, askedBy, letGo } = holdAnswers(6)
    await using held = await startCloud({ azure: options })
    const inFlight = async (worker: OnWorker) => {
      const ids = ['doc-1', 'doc-2', 'doc-3', 'doc-4', 'doc-5', 'doc-6']
      const pushes = ids.map((id) => worker.push({ ...nightly, id }))
      await askedBy(Promise.any(pushes))
      await cancelBatch(worker)
      for (const push of pushes) assert.deepEqual(await push, DONE)
      for (const id of ids) {
        const cancelled = { status: 'cancelled', attempts: [{ n: 1, outcome: 'unknown' }] }
        assert.partialDeepStrictEqual(await worker.record(id, 'nightly'), cancelled)
      }
      letGo()
      assert.deepEqual(await worker.push(JOB), DONE)
      assert.equal((await worker.record(JOB.id))?.status, 'succeeded')
      assert.doesNotMatch(worker.logText(), /circuit_opened/)
    }
    await onWorker({}, inFlight, held)
  })
})
