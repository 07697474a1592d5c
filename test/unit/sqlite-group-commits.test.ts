import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { describe, test } from 'node:test'
import { inTransaction } from '../../shared/lib/sqlite.ts'
import { groupCommits } from '../../shared/stores/sqlite/group-commits.ts'

/** A table of numbers, and how many commits have been made to it. */
function open() {
  const db = new DatabaseSync(':memory:')
  db.exec('CREATE TABLE numbers (n INTEGER PRIMARY KEY)')
  const insert = db.prepare('INSERT INTO numbers VALUES (?)')
  let commits = 0
  const write = groupCommits(<T>(work: () => T) => {
    commits += 1
    return inTransaction(db, work)
  })
  return {
    add: (n: number) => write(() => insert.run(n).changes),
    stored: () =>
      db
        .prepare('SELECT n FROM numbers ORDER BY n')
        .all()
        .map(({ n }) => n),
    commits: () => commits,
    close: () => db.close(),
  }
}

const numbered = (count: number) => Array.from({ length: count }, (_, n) => n)

describe('writes of one turn', () => {
  test('are one commit, and each gets its own result', async () => {
    const { add, stored, commits } = open()
    assert.deepEqual(await Promise.all([add(1), add(2), add(3)]), [1, 1, 1])
    assert.deepEqual([stored(), commits()], [[1, 2, 3], 1])
  })

  test('are at most a hundred a commit', async () => {
    const { add, stored, commits } = open()
    await Promise.all(numbered(201).map(add))
    assert.deepEqual([stored().length, commits()], [201, 3])
  })

  test('are in the store as soon as they resolve', async () => {
    const { add, stored } = open()
    const first = add(1).then(() => stored())
    await add(2)
    assert.deepEqual(await first, [1, 2])
  })
})

test('a write of a later turn is a commit of its own', async () => {
  const { add, commits } = open()
  await add(1)
  await add(2)
  assert.equal(commits(), 2)
})

test('a write that fails fails no other of its turn', async () => {
  const { add, stored } = open()
  await add(2)
  const results = await Promise.allSettled([add(1), add(2), add(3)])
  const statuses = results.map(({ status }) => status)
  assert.deepEqual(statuses, ['fulfilled', 'rejected', 'fulfilled'])
  assert.deepEqual(stored(), [1, 2, 3])
})

test('writes to a store that is closed meanwhile all fail', async () => {
  const { add, close } = open()
  const results = Promise.allSettled([add(1), add(2)])
  close()
  const statuses = (await results).map(({ status }) => status)
  assert.deepEqual(statuses, ['rejected', 'rejected'])
})

test('writes to a file that stays busy are not waited for one by one', async () => {
  let commits = 0
  const busy = Object.assign(new Error('database is locked'), { errcode: 5 })
  const write = groupCommits(() => {
    commits += 1
    return Promise.reject(busy)
  })
  const results = await Promise.allSettled([write(() => 1), write(() => 2)])
  const reasons = results.map((result) => result.status === 'rejected' && result.reason)
  assert.deepEqual(reasons, [busy, busy])
  assert.equal(commits, 1)
})
