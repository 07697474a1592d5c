import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { inTransaction, openSqlite, whenFree } from '../../shared/lib/sqlite.ts'
import { aTemporaryFile } from '../support/temporary-file.ts'

const SQLITE_BUSY = 5
const SQLITE_CONSTRAINT_PRIMARYKEY = 1555

/** A database with one table, and a second connection to it, as another process would have. */
async function twoConnections(t: TestContext): Promise<readonly [DatabaseSync, DatabaseSync]> {
  const path = await aTemporaryFile(t)
  const [db, other] = [openSqlite(path, 'FULL'), openSqlite(path, 'FULL')]
  t.after(() => db.close())
  t.after(() => other.close())
  db.exec('CREATE TABLE notes (text TEXT PRIMARY KEY)')
  return [db, other]
}

const insert = (db: DatabaseSync, text: string) => db.prepare('INSERT INTO notes VALUES (?)').run(text).changes
const notes = (db: DatabaseSync) =>
  db
    .prepare('SELECT text FROM notes ORDER BY text')
    .all()
    .map((row) => row['text'])

const isSqliteError = (code: number) => (error: unknown) =>
  error instanceof Error && 'errcode' in error && error.errcode === code

/** The insert of ours, and how often it was tried. */
function counted(db: DatabaseSync) {
  let tries = 0
  const work = () => {
    tries += 1
    return insert(db, 'ours')
  }
  return { work, tries: () => tries }
}

/** Calls back after that many turns of the event loop. */
function afterTurns(turns: number, callback: () => void): void {
  if (turns === 0) callback()
  else setImmediate(() => afterTurns(turns - 1, callback))
}

test('a database is opened for sharing: write-ahead log, and a try that blocks for 2 ms at most', async (t) => {
  const [db] = await twoConnections(t)
  assert.deepEqual({ ...db.prepare('PRAGMA journal_mode').get() }, { journal_mode: 'wal' })
  assert.deepEqual({ ...db.prepare('PRAGMA busy_timeout').get() }, { timeout: 2 })
})

test('FULL and NORMAL are SQLite’s own', async (t) => {
  const [db] = await twoConnections(t)
  assert.deepEqual({ ...db.prepare('PRAGMA synchronous').get() }, { synchronous: 2 })
  const normal = openSqlite(':memory:', 'NORMAL')
  t.after(() => normal.close())
  assert.deepEqual({ ...normal.prepare('PRAGMA synchronous').get() }, { synchronous: 1 })
})

test('opening waits for a process that is making the same file, and takes it as that one made it', async (t) => {
  const path = await aTemporaryFile(t)
  const other = new DatabaseSync(path)
  t.after(() => other.close())
  other.exec('BEGIN IMMEDIATE; CREATE TABLE notes (text TEXT PRIMARY KEY)')
  let pauses = 0
  const db = openSqlite(path, 'FULL', () => {
    pauses += 1
    if (pauses === 3) other.exec('COMMIT')
  })
  t.after(() => db.close())
  assert.equal(pauses, 3)
  assert.deepEqual(notes(db), [])
})

test('opening gives up a file that stays locked with SQLite’s own error, and closes it', async (t) => {
  const path = await aTemporaryFile(t)
  const other = new DatabaseSync(path)
  t.after(() => other.close())
  other.exec('BEGIN IMMEDIATE')
  let pauses = 0
  const pause = () => {
    pauses += 1
  }
  assert.throws(() => openSqlite(path, 'FULL', pause), isSqliteError(SQLITE_BUSY))
  assert.equal(pauses, 999)
})

for (const [what, write] of Object.entries({
  'a transaction': (db: DatabaseSync) => inTransaction(db, () => insert(db, 'ours')),
  'a statement': (db: DatabaseSync) => whenFree(() => insert(db, 'ours')),
})) {
  test(`${what} waits for a busy database while the event loop turns`, async (t) => {
    const [db, other] = await twoConnections(t)
    other.exec('BEGIN IMMEDIATE')
    let done = false
    const writing = write(db).then(() => {
      done = true
    })
    await new Promise<void>((resolve) => afterTurns(100, resolve))
    assert.equal(done, false)
    insert(other, 'theirs')
    other.exec('COMMIT')
    await writing
    assert.deepEqual(notes(db), ['ours', 'theirs'])
  })

  test(`${what} that is released between two tries goes through`, async (t) => {
    const [db, other] = await twoConnections(t)
    other.exec('BEGIN IMMEDIATE')
    afterTurns(3, () => other.exec('ROLLBACK'))
    assert.equal(await write(db), 1)
  })
}

test('a database that stays busy ends in SQLite’s own error, and nothing is written', async (t) => {
  const [db, other] = await twoConnections(t)
  other.exec('BEGIN IMMEDIATE')
  const { work, tries } = counted(db)
  await assert.rejects(whenFree(work, 100), isSqliteError(SQLITE_BUSY))
  assert.ok(tries() > 1)
  await assert.rejects(inTransaction(db, work, 100), isSqliteError(SQLITE_BUSY))
  other.exec('ROLLBACK')
  assert.equal(db.isTransaction, false)
  assert.deepEqual(notes(db), [])
})

test('without any time to wait there is one try', async (t) => {
  const [db, other] = await twoConnections(t)
  other.exec('BEGIN IMMEDIATE')
  const { work, tries } = counted(db)
  await assert.rejects(whenFree(work, 0), isSqliteError(SQLITE_BUSY))
  assert.equal(tries(), 1)
})

test('a read that another write made old before it could write (SQLITE_BUSY_SNAPSHOT) is tried again', async (t) => {
  const [db, other] = await twoConnections(t)
  let tries = 0
  await whenFree(() => {
    tries += 1
    db.exec('BEGIN')
    try {
      if (notes(db).length === 0) insert(other, 'theirs')
      insert(db, 'ours')
      db.exec('COMMIT')
    } catch (error) {
      db.exec('ROLLBACK')
      throw error
    }
  })
  assert.equal(tries, 2)
  assert.deepEqual(notes(db), ['ours', 'theirs'])
})

test('an error that waiting does not fix is not tried again', async (t) => {
  const [db] = await twoConnections(t)
  insert(db, 'ours')
  const { work, tries } = counted(db)
  await assert.rejects(whenFree(work), isSqliteError(SQLITE_CONSTRAINT_PRIMARYKEY))
  await assert.rejects(inTransaction(db, work), isSqliteError(SQLITE_CONSTRAINT_PRIMARYKEY))
  assert.equal(tries(), 2)
})

test('work that fails is rolled back whole, and its own error comes out', async (t) => {
  const [db] = await twoConnections(t)
  const fault = new Error('ours')
  const work = () => {
    insert(db, 'ours')
    throw fault
  }
  await assert.rejects(inTransaction(db, work), (error) => error === fault)
  assert.equal(db.isTransaction, false)
  assert.deepEqual(notes(db), [])
})

test('a transaction holds the lock from its start: no other connection writes between its read and its write', async (t) => {
  const [db, other] = await twoConnections(t)
  await inTransaction(db, () => {
    assert.deepEqual(notes(db), [])
    assert.throws(() => insert(other, 'theirs'), isSqliteError(SQLITE_BUSY))
    insert(db, 'ours')
  })
  assert.deepEqual(notes(other), ['ours'])
})

test('transactions on one connection wait for each other and all come through', async (t) => {
  const [db, other] = await twoConnections(t)
  const writers = Array.from({ length: 40 }, (_, i) => [i % 2 === 0 ? db : other, `note ${i}`] as const)
  await Promise.all(writers.map(([connection, text]) => inTransaction(connection, () => insert(connection, text))))
  assert.equal(notes(db).length, 40)
})
