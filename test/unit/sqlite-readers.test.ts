import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { openSqliteQueue } from '../../shared/queues/sqlite/sqlite-queue.ts'
import { recordOf } from '../../shared/stores/job-reader.ts'
import { openSqliteReaders } from '../../shared/stores/sqlite/open-readers.ts'
import { openSqliteDocuments } from '../../shared/stores/sqlite/sqlite-documents.ts'
import { aRunningRecord, aSucceededRecord, START } from '../support/job-builders.ts'
import { openLastRelease } from '../support/last-release-file.ts'
import { aTemporaryFile } from '../support/temporary-file.ts'

const { key, batch } = aSucceededRecord
const LONG_AFTER = aSucceededRecord.expireAt + 1

async function read(t: TestContext, path: string, now = START) {
  const readers = await openSqliteReaders(path, () => now)
  t.after(() => readers.close())
  return readers
}

/** A second connection, as of another process. */
function another(t: TestContext, path: string): DatabaseSync {
  const db = new DatabaseSync(path)
  t.after(() => db.close())
  return db
}

const schemaOf = (db: DatabaseSync) => db.prepare('SELECT name, sql FROM sqlite_schema ORDER BY name').all()

async function aStoreOf(
  t: TestContext,
  ...records: Parameters<Awaited<ReturnType<typeof openSqliteDocuments>>['create']>[0][]
) {
  const path = await aTemporaryFile(t)
  const documents = await openSqliteDocuments(path, () => START)
  for (const record of records) await documents.create(record)
  documents.close()
  return path
}

test('a reader waits for no writer: a file that is locked for writing is opened and read', async (t) => {
  const path = await aStoreOf(t, aSucceededRecord)
  another(t, path).exec('BEGIN IMMEDIATE')
  const { documents } = await read(t, path)
  assert.deepEqual((await documents.read(key))?.record, aSucceededRecord)
})

test('a reader deletes nothing: a record that has expired is still read', async (t) => {
  const path = await aStoreOf(t, aSucceededRecord)
  const { documents } = await read(t, path, LONG_AFTER)
  assert.deepEqual((await documents.read(key))?.record, aSucceededRecord)
})

test('a file of the last release is read as it is, and nothing is made in it', async (t) => {
  const path = await aTemporaryFile(t)
  const last = openLastRelease(path)
  t.after(() => last.close())
  last.create(aSucceededRecord)
  last.create(aRunningRecord({ key: 'running' }))
  last.db.exec(`INSERT INTO promptJobParts VALUES ('${key}', 'a', 0, 'x', 1), ('${key}', 'a', 1, 'y', 1)`)
  const before = schemaOf(last.db)

  const { documents, deadLetters, telemetry } = await read(t, path, LONG_AFTER)
  assert.deepEqual((await documents.read(key))?.record, aSucceededRecord)
  const keys = (await Array.fromAsync(documents.list(batch), recordOf)).map((record) => record.key)
  assert.deepEqual(keys, [key, 'running'])
  assert.deepEqual(await documents.countByStatus(batch), { succeeded: 1, running: 1 })
  assert.deepEqual(await Array.fromAsync(documents.readParts(key, 'a')), ['x', 'y'])
  assert.deepEqual(await deadLetters.list({}, 9), { found: [], unreadable: 0 })
  assert.deepEqual(await telemetry.tokenFailures(0, 9), { found: [], unreadable: 0 })
  assert.deepEqual(schemaOf(last.db), before)
})

test('a file from before records had further columns is read', async (t) => {
  const path = await aTemporaryFile(t)
  const db = another(t, path)
  db.exec(`CREATE TABLE promptJobs (key TEXT PRIMARY KEY, batch TEXT NOT NULL, status TEXT NOT NULL,
    revision INTEGER NOT NULL, updatedAt INTEGER NOT NULL, expireAt INTEGER, record TEXT NOT NULL) STRICT`)
  db.prepare('INSERT INTO promptJobs VALUES (?, ?, ?, 1, 0, NULL, ?)').run(
    ...[key, batch, 'succeeded', JSON.stringify(aSucceededRecord)],
  )
  const { documents } = await read(t, path)
  assert.deepEqual((await documents.read(key))?.record, aSucceededRecord)
  assert.deepEqual(await Array.fromAsync(documents.list(batch)), [{ record: aSucceededRecord }])
})

test('a file to which jobs were only submitted holds no records, and those that a worker makes are found', async (t) => {
  const path = await aTemporaryFile(t)
  const queue = await openSqliteQueue(path, () => START)
  t.after(() => queue.close())
  const { documents } = await read(t, path)
  assert.equal(await documents.read(key), undefined)
  assert.deepEqual(await Array.fromAsync(documents.list(batch)), [])
  assert.deepEqual(await documents.countByStatus(batch), {})

  const worker = await openSqliteDocuments(path, () => START)
  t.after(() => worker.close())
  await worker.create(aSucceededRecord)
  assert.deepEqual((await documents.read(key))?.record, aSucceededRecord)
  assert.deepEqual(await documents.countByStatus(batch), { succeeded: 1 })
})

test('a file that is not there is an error that names it, and is not made', async (t) => {
  const path = await aTemporaryFile(t)
  await assert.rejects(read(t, path), { code: 'unavailable', message: `there is no file ${path}` })
  assert.equal(existsSync(path), false)
})

test('a database of something else is an error that says so, and stays as it is', async (t) => {
  const path = await aTemporaryFile(t)
  const db = another(t, path)
  db.exec('CREATE TABLE letters (text TEXT)')
  await assert.rejects(read(t, path), { code: 'unavailable', message: /holds no jobs/ })
  assert.deepEqual(schemaOf(db).length, 1)
})

test('a file that is no database is an error', async (t) => {
  const path = await aTemporaryFile(t)
  await writeFile(path, 'not a database, and long enough to be seen as none'.repeat(100))
  await assert.rejects(read(t, path), { code: 'unavailable' })
})
