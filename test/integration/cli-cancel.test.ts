import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JobRecord } from '../../shared/job/record.ts'
import { openSqliteQueue } from '../../shared/queues/sqlite/sqlite-queue.ts'
import { openSqliteBatches } from '../../shared/stores/sqlite/sqlite-batches.ts'
import { openSqliteDocuments } from '../../shared/stores/sqlite/sqlite-documents.ts'
import { aStoreOf, onStore } from '../support/cli-store.ts'
import { aJob, aRunningRecord, aSucceededRecord, aWaitingRecord, DAY_MS } from '../support/job-builders.ts'
import { aTemporaryFile } from '../support/temporary-file.ts'

async function recordIn(path: string): Promise<JobRecord | undefined> {
  const documents = await openSqliteDocuments(path, Date.now)
  const stored = await documents.read(aJob().key)
  documents.close()
  return stored?.record
}

/** Publishes the job, which no worker takes. */
async function publish(path: string): Promise<void> {
  const queue = await openSqliteQueue(path, Date.now)
  await queue.publish('promptbridge-jobs', {
    data: Buffer.from('{"id":"doc-7","prompt":"p"}'),
    attributes: { batch: 'nightly' },
  })
  await queue.close()
}

function cancel(path: string, ...more: string[]) {
  return onStore(path, 'cancel', 'doc-7', '--batch', 'nightly', ...more)
}

test('cancel: a job that was not started is cancelled, however often, for as long as records are kept', async (t) => {
  const path = await aStoreOf(t)
  await publish(path)
  const line = 'doc-7  cancelled  it was never started\n'
  for (const _ of ['first', 'again']) {
    assert.deepEqual(await cancel(path), { code: 0, stdout: line, stderr: '' })
  }
  const record = await recordIn(path)
  assert.ok(record?.status === 'cancelled')
  assert.equal(record.expireAt - record.settledAt, 30 * DAY_MS)
})

test('cancel: a job or a batch that was never submitted is an error, unless --force is given', async (t) => {
  const path = await aStoreOf(t)
  const job = await cancel(path)
  assert.equal(job.code, 1)
  assert.match(
    job.stderr,
    /^promptbridge: there is no job "doc-7" in batch "nightly"; to cancel it before .* --force\n$/,
  )
  assert.equal(await recordIn(path), undefined)
  const batch = await cancelBatch(path)
  assert.equal(batch.code, 1)
  assert.match(batch.stderr, /^promptbridge: there is no batch "nightly"; .* use --force\n$/)
  assert.equal((await cancelBatch(path, '--force')).code, 0)
  assert.equal((await cancel(path, '--force')).code, 0)
})

test('cancel: a job that waits is cancelled, and its attempts are printed', async (t) => {
  const { code, stdout } = await cancel(await aStoreOf(t, aWaitingRecord()))
  assert.deepEqual([code, stdout], [0, 'doc-7  cancelled  attempts before: 1, of unknown outcome: 1\n'])
})

test('cancel: a job that is being run is left alone, and that is a failure', async (t) => {
  const path = await aStoreOf(t, aRunningRecord())
  const { code, stdout } = await cancel(path)
  assert.equal(code, 1)
  assert.match(stdout, /^doc-7 {2}running {2}not cancelled: .* ends in \d+ s\n$/)
  assert.equal((await recordIn(path))?.status, 'running')
})

test('cancel: a job that is settled is left alone, and that is a failure', async (t) => {
  const path = await aStoreOf(t, aSucceededRecord)
  const { code, stdout } = await cancel(path)
  assert.deepEqual([code, stdout], [1, 'doc-7  succeeded  not cancelled: it was settled before\n'])
})

test('cancel --json prints the job’s name and its status', async (t) => {
  const { code, stdout } = await cancel(await aStoreOf(t), '--json', '--force')
  const { key } = aJob()
  assert.deepEqual([code, JSON.parse(stdout)], [0, { key, id: 'doc-7', batch: 'nightly', status: 'cancelled' }])
})

test('cancel: an id that no job can have is an error, and leaves no record', async (t) => {
  const path = await aStoreOf(t)
  const long = await onStore(path, 'cancel', 'x'.repeat(257))
  assert.equal(long.code, 1)
  assert.match(long.stderr, /^promptbridge: no job can have this name: id: /)
})

test('cancel: a store that is missing is an error', async (t) => {
  const { code, stdout } = await cancel(await aTemporaryFile(t, 'nowhere.db'))
  assert.deepEqual([code, stdout], [1, ''])
})

function cancelBatch(path: string, ...more: string[]) {
  return onStore(path, 'cancel', '--batch', 'nightly', ...more)
}

test('cancel: a batch is cancelled, and the number of jobs that are left is printed', async (t) => {
  const path = await aStoreOf(t, aSucceededRecord, aRunningRecord({ key: 'another', id: 'doc-8' }))
  const batches = await openSqliteBatches(path)
  await batches.open('nightly', 1)
  await batches.seal('nightly', 5, 1)
  const { code, stdout, stderr } = await cancelBatch(path)
  assert.equal(
    stdout,
    'nightly  cancelled  1 of 5 jobs settled; the other 4 are cancelled when they are delivered; running jobs that are aborted: 1\n',
  )
  assert.deepEqual([code, stderr], [0, ''])
  const batch = await batches.read('nightly')
  assert.ok(batch?.cancelledAt !== undefined)
  await cancelBatch(path)
  assert.deepEqual(await batches.read('nightly'), batch)
  batches.close()
})

test('cancel: a batch that was never sealed is cancelled, and --json says what is known', async (t) => {
  const { code, stdout } = await cancelBatch(await aStoreOf(t, aSucceededRecord), '--json')
  const expected = { batch: 'nightly', cancelled: true, settled: 1, counts: { succeeded: 1 } }
  assert.deepEqual([code, JSON.parse(stdout)], [0, expected])
})
