import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { openSqlite } from '../../shared/lib/sqlite.ts'
import { type Emulators, openStores, openWorkerStores } from '../../shared/stores/open.ts'
import { deleteExpired } from '../../shared/stores/sqlite/expiry.ts'
import { openSqliteDocuments } from '../../shared/stores/sqlite/sqlite-documents.ts'
import { aNewDeadLetter, LETTER_DATA } from '../support/dead-letter-builders.ts'
import { aRunningRecord, aSucceededRecord, DAY_MS, START } from '../support/job-builders.ts'
import { aTokenFailure, aWorkerInstance } from '../support/telemetry-builders.ts'
import { aTemporaryFile } from '../support/temporary-file.ts'

const NO_EMULATORS: Emulators = { firestore: undefined, pubsub: undefined }
const EXPIRES_AT = START + DAY_MS
const TABLES = ['promptJobs', 'promptJobParts', 'deadLetters', 'tokenFailures', 'workerInstances']

async function aStore(t: TestContext, open = openWorkerStores) {
  const path = await aTemporaryFile(t)
  const stores = await open({ kind: 'sqlite', path }, { now: () => START, emulators: NO_EMULATORS })
  t.after(() => stores.close())
  const db = openSqlite(path, 'NORMAL')
  t.after(() => db.close())
  const namesIn = (table: string) =>
    db
      .prepare(`SELECT * FROM ${table} ORDER BY 1`)
      .all()
      .map((row) => String(row['key'] ?? row['id']))
  return { path, stores, db, namesIn }
}

const never = new AbortController().signal

test('SQLite: expired rows are deleted from every table, and nothing else', async (t) => {
  const { stores, db, namesIn } = await aStore(t)
  const { documents, deadLetters, telemetry } = stores
  for (const [name, expireAt] of [
    ['now', EXPIRES_AT],
    ['later', EXPIRES_AT + 1],
  ] as const) {
    await documents.create({ ...aSucceededRecord, key: name, expireAt })
    await documents.writePart(name, 'a', 0, 'x', expireAt)
    await deadLetters.put(aNewDeadLetter({ key: name, expireAt }), LETTER_DATA)
    await telemetry.putTokenFailure(aTokenFailure({ id: name, expireAt }))
    await telemetry.putInstance(aWorkerInstance({ instance: { id: name }, expireAt }))
  }
  await documents.create(aRunningRecord({ key: 'running' }))
  await deleteExpired(db, EXPIRES_AT, never)
  assert.deepEqual(namesIn('promptJobs').toSorted(), ['later', 'now', 'running'])
  await deleteExpired(db, EXPIRES_AT + 1, never)
  assert.deepEqual(TABLES.map(namesIn), [['later', 'running'], ['later'], ['later:2'], ['later'], ['later']])
})

test('one transaction deletes no more than some rows', async (t) => {
  const { stores, db, namesIn } = await aStore(t)
  const keys = Array.from({ length: 250 }, (_, n) => `key-${n}`)
  await Promise.all(keys.map((key) => stores.documents.create({ ...aSucceededRecord, key })))
  const stop = new AbortController()
  const deleting = deleteExpired(db, aSucceededRecord.expireAt + 1, stop.signal)
  stop.abort()
  await deleting
  assert.equal(namesIn('promptJobs').length, 150)
  assert.deepEqual(await stores.documents.countByStatus('nightly'), { succeeded: 150 })
})

test('where nothing has expired, no lock is taken', async (t) => {
  const { path, stores, db } = await aStore(t)
  await stores.documents.create(aSucceededRecord)
  const other = openSqlite(path, 'NORMAL')
  t.after(() => other.close())
  other.exec('BEGIN IMMEDIATE')
  await deleteExpired(db, START, never)
})

test('every table is searched by an index for what has expired', async (t) => {
  const { db } = await aStore(t)
  for (const table of TABLES) {
    const plan = db.prepare(`EXPLAIN QUERY PLAN SELECT rowid FROM ${table} WHERE expireAt < 1 LIMIT 9`).all()
    assert.match(String(plan[0]?.['detail']), /^SEARCH .* USING .*INDEX \w+Expire \(expireAt<\?\)$/)
  }
})

test('a worker deletes what has expired while it runs, and a command that writes deletes nothing', async (t) => {
  const old = { ...aSucceededRecord, expireAt: START - 1 }
  const { path, stores, namesIn } = await aStore(t, openStores)
  await stores.documents.create(old)
  await turn()
  assert.deepEqual(namesIn('promptJobs'), [old.key])
  const worker = await openWorkerStores({ kind: 'sqlite', path }, { now: () => START, emulators: NO_EMULATORS })
  t.after(() => worker.close())
  while (namesIn('promptJobs').length > 0) await turn()
})

test('a file that lacks nothing is opened without a lock', async (t) => {
  const { path, stores } = await aStore(t)
  await stores.documents.create(aSucceededRecord)
  const other = openSqlite(path, 'NORMAL')
  t.after(() => other.close())
  other.exec('BEGIN IMMEDIATE')
  const documents = await openSqliteDocuments(path, () => START)
  documents.close()
})
