import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { JobRecord } from '../../shared/job/record.ts'
import { openSqliteBatches } from '../../shared/stores/sqlite/sqlite-batches.ts'
import { openSqliteDocuments } from '../../shared/stores/sqlite/sqlite-documents.ts'
import { aJob, aRunningRecord, aSucceededRecord, aWaitingRecord, DAY_MS } from '../support/job-builders.ts'
import { runHosted } from '../support/run-hosted.ts'
import { newFolder } from './cli-harness.ts'

/** A store that holds these records, and gives its path. */
async function storeOf(t: TestContext, ...records: readonly JobRecord[]): Promise<string> {
  const path = join(await newFolder(t), 'records.db')
  const documents = await openSqliteDocuments(path, Date.now)
  for (const record of records) await documents.create(record)
  documents.close()
  return path
}

async function recordIn(path: string): Promise<JobRecord | undefined> {
  const documents = await openSqliteDocuments(path, Date.now)
  const stored = await documents.read(aJob().key)
  documents.close()
  return stored?.record
}

function cancel(path: string, ...more: string[]) {
  return runHosted(['cancel', 'doc-7', '--batch', 'nightly', '--store', `sqlite:${path}`, ...more])
}

test('a job that was not started is cancelled, however often, for as long as records are kept', async (t) => {
  const path = await storeOf(t)
  const line = 'doc-7  cancelled  it was never started\n'
  for (const _ of ['first', 'again']) {
    assert.deepEqual(await cancel(path), { code: 0, stdout: line, stderr: '' })
  }
  const record = await recordIn(path)
  assert.ok(record?.status === 'cancelled')
  assert.equal(record.expireAt - record.settledAt, 30 * DAY_MS)
})

test('a job that waits is cancelled, and its attempts are printed', async (t) => {
  const { code, stdout } = await cancel(await storeOf(t, aWaitingRecord()))
  assert.deepEqual([code, stdout], [0, 'doc-7  cancelled  attempts before: 1, of unknown outcome: 1\n'])
})

test('a job that is being run is left alone, and that is a failure', async (t) => {
  const path = await storeOf(t, aRunningRecord())
  const { code, stdout } = await cancel(path)
  assert.equal(code, 1)
  assert.match(stdout, /^doc-7 {2}running {2}not cancelled: .* ends in \d+ s\n$/)
  assert.equal((await recordIn(path))?.status, 'running')
})

test('a job that is settled is left alone, and that is a failure', async (t) => {
  const path = await storeOf(t, { ...aSucceededRecord, expireAt: Date.now() + DAY_MS })
  const { code, stdout } = await cancel(path)
  assert.deepEqual([code, stdout], [1, 'doc-7  succeeded  not cancelled: it was settled before\n'])
})

test('cancel --json prints the job’s name and its status', async (t) => {
  const { code, stdout } = await cancel(await storeOf(t), '--json')
  const { key } = aJob()
  assert.deepEqual([code, JSON.parse(stdout)], [0, { key, id: 'doc-7', batch: 'nightly', status: 'cancelled' }])
})

test('cancel: an id that no job can have is an error, and leaves no record', async (t) => {
  const path = await storeOf(t)
  const long = await runHosted(['cancel', 'x'.repeat(257), '--store', `sqlite:${path}`])
  assert.equal(long.code, 1)
  assert.match(long.stderr, /^promptbridge: no job can have this name: id: /)
})

test('cancel: a store that is missing is an error', async (t) => {
  const { code, stdout } = await cancel(join(await newFolder(t), 'nowhere.db'))
  assert.deepEqual([code, stdout], [1, ''])
})

function cancelBatch(path: string, ...more: string[]) {
  return runHosted(['cancel', '--batch', 'nightly', '--store', `sqlite:${path}`, ...more])
}

test('a batch is cancelled, and the number of jobs that are left is printed', async (t) => {
  const path = await storeOf(t, aSucceededUntilLater(), aRunningRecord({ key: 'another', id: 'doc-8' }))
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

test('a batch that was never sealed is cancelled, and --json says what is known', async (t) => {
  const { code, stdout } = await cancelBatch(await storeOf(t, aSucceededUntilLater()), '--json')
  const expected = { batch: 'nightly', cancelled: true, settled: 1, counts: { succeeded: 1 } }
  assert.deepEqual([code, JSON.parse(stdout)], [0, expected])
})

test('cancel: without an id and a batch it is misuse', async (t) => {
  const path = await storeOf(t)
  for (const args of [[], ['--batch', '']]) {
    const { code, stderr } = await runHosted(['cancel', '--store', `sqlite:${path}`, ...args])
    assert.deepEqual([code, stderr], [2, 'error: name a job by its id, or a whole batch with --batch\n'])
  }
})

function aSucceededUntilLater(): JobRecord {
  return { ...aSucceededRecord, expireAt: Date.now() + DAY_MS }
}
