import assert from 'node:assert/strict'
import { readdirSync, readlinkSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { createJobStore } from '../../shared/stores/job-store/create-job-store.ts'
import { openSqliteDocuments } from '../../shared/stores/sqlite/sqlite-documents.ts'
import { aClaim, aDeadLetter, aJob, anAnswer, aRunningRecord, START } from '../support/job-builders.ts'
import { type Harness, jobStoreContract } from './job-store-contract.ts'
import { isStoreError, partsOf } from './job-store-support.ts'

jobStoreContract('SQLite', openHarness)

async function openHarness(): Promise<Harness> {
  const folder = await mkdtemp(join(tmpdir(), 'job-store-'))
  let now = START
  const connect = () => openSqliteDocuments(join(folder, 'jobs.db'), () => now)
  const connections = [await connect()]
  const [documents] = connections
  assert.ok(documents !== undefined)
  return {
    documents,
    async another() {
      const connection = await connect()
      connections.push(connection)
      return connection
    },
    async pass(ms) {
      now += ms
    },
    async spoil(key) {
      const other = new DatabaseSync(join(folder, 'jobs.db'), { timeout: 5_000 })
      other.prepare(`UPDATE promptJobs SET record = '{"status":"paused"}' WHERE key = ?`).run(key)
      other.close()
    },
    async close() {
      for (const connection of connections.splice(0)) connection.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function aPath(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'job-store-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return join(folder, 'jobs.db')
}

describe('SQLite: a lease', () => {
  test('is free at the very millisecond it ends', async (t) => {
    let now = START
    const documents = await openSqliteDocuments(await aPath(t), () => now)
    t.after(() => documents.close())
    const store = createJobStore(documents, 1)
    await store.claim(aClaim({ leaseMs: 60_000 }))
    now = START + 59_999
    assert.deepEqual(await store.claim(aClaim({ owner: 'b' })), { kind: 'busy', retryInMs: 1 })
    now = START + 60_000
    assert.equal((await store.claim(aClaim({ owner: 'b' }))).kind, 'run')
  })
})

describe('SQLite: opening', () => {
  test('a file that is no database is StoreError unavailable, and leaves no file open', async (t) => {
    const path = await aPath(t)
    await writeFile(path, 'not a database, and long enough to be seen as none'.repeat(100))
    await assert.rejects(
      openSqliteDocuments(path, () => START),
      isStoreError('unavailable'),
    )
    assert.deepEqual(openFiles(path), [])
  })

  test('a database whose tables are not ours is StoreError unavailable, and leaves no file open', async (t) => {
    const path = await aPath(t)
    const other = new DatabaseSync(path)
    other.exec('CREATE TABLE promptJobs (key TEXT, batch TEXT, status TEXT, expireAt INTEGER)')
    other.close()
    await assert.rejects(
      openSqliteDocuments(path, () => START),
      isStoreError('unavailable'),
    )
    assert.deepEqual(openFiles(path), [])
  })

  test('a folder that is not there is StoreError unavailable', async (t) => {
    const path = join(await aPath(t), 'no', 'jobs.db')
    await assert.rejects(
      openSqliteDocuments(path, () => START),
      isStoreError('unavailable'),
    )
  })
})

describe('SQLite: closing', () => {
  test('may be done twice', async (t) => {
    const documents = await openSqliteDocuments(await aPath(t), () => START)
    documents.close()
    documents.close()
  })
})

describe('SQLite: a malformed record', () => {
  for (const [what, json] of Object.entries({
    'is not JSON': '{"key":',
    'is of another form': '{"key":"x","status":"paused"}',
  })) {
    test(`that ${what} is StoreError corrupt where it is read by itself, and a key in a listing`, async (t) => {
      const path = await aPath(t)
      const documents = await openSqliteDocuments(path, () => START)
      t.after(() => documents.close())
      await documents.create(aRunningRecord())
      const other = new DatabaseSync(path)
      other.prepare('UPDATE promptJobs SET record = ?').run(json)
      other.close()
      await assert.rejects(documents.read(aJob().key), isStoreError('corrupt'))
      assert.deepEqual(await Array.fromAsync(documents.list('nightly')), [{ unreadable: aJob().key }])
      await assert.rejects(createJobStore(documents, 1).claim(aClaim({ owner: 'b' })), isStoreError('corrupt'))
    })
  }
})

test('SQLite: the error for a record that is not JSON quotes nothing of it, in any cause', async (t) => {
  const path = await aPath(t)
  const documents = await openSqliteDocuments(path, () => START)
  t.after(() => documents.close())
  await documents.create(aRunningRecord())
  const other = new DatabaseSync(path)
  other.prepare('UPDATE promptJobs SET record = ?').run('the answer')
  other.close()
  await assert.rejects(documents.read(aJob().key), (error) => !inspect(error, { depth: 9 }).includes('the answer'))
})

describe('SQLite: a file that another process writes to', () => {
  test('is waited for by every write, and read meanwhile', async (t) => {
    const path = await aPath(t)
    const documents = await openSqliteDocuments(path, () => START)
    const other = new DatabaseSync(path)
    t.after(() => documents.close())
    t.after(() => other.close())
    const store = createJobStore(documents, 1)
    const claimed = await store.claim(aClaim())
    assert.ok(claimed.kind === 'run')

    for (const write of [
      () => store.claim(aClaim({ job: aJob({ id: 'doc-8' }) })),
      () => documents.writePart('key', 'a', 0, 'x', START),
      () => store.settle(claimed.held, anAnswer(), START),
    ]) {
      other.exec('BEGIN IMMEDIATE')
      const writing = write()
      assert.notEqual(await documents.read(aJob().key), undefined)
      other.exec('ROLLBACK')
      await writing
    }
    assert.equal((await documents.read(aJob().key))?.record.status, 'succeeded')
    assert.equal((await documents.read(aJob({ id: 'doc-8' }).key))?.record.status, 'running')
    assert.deepEqual(await partsOf(documents, 'key', 'a'), ['x'])
  })

  test('is settled in the end although it was busy at first', async (t) => {
    const path = await aPath(t)
    const documents = await openSqliteDocuments(path, () => START)
    const other = new DatabaseSync(path)
    t.after(() => documents.close())
    t.after(() => other.close())
    const store = createJobStore(documents, 1)
    const claimed = await store.claim(aClaim())
    assert.ok(claimed.kind === 'run')
    other.exec('BEGIN IMMEDIATE')
    setImmediate(() => other.exec('ROLLBACK'))
    assert.equal((await store.settle(claimed.held, aDeadLetter(), START)).kind, 'settled')
  })
})

/** The descriptors this process holds on a file; none where the system does not report them. */
function openFiles(path: string): string[] {
  try {
    return readdirSync('/proc/self/fd').filter((fd) => linkOf(fd).startsWith(path))
  } catch {
    return []
  }
}

function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return ''
  }
}
