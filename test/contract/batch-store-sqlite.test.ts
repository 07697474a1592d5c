import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { openSqliteBatches } from '../../shared/stores/sqlite/sqlite-batches.ts'
import { START } from '../support/job-builders.ts'
import { batchStoreContract } from './batch-store-contract.ts'

batchStoreContract('SQLite', async () => {
  const batches = await openSqliteBatches(':memory:')
  return { batches, close: async () => batches.close() }
})

test('SQLite: a file that was made before batches had limits takes them', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'batch-store-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'jobs.db')
  const db = new DatabaseSync(path)
  db.exec(`CREATE TABLE promptBatches
    (name TEXT PRIMARY KEY, createdAt INTEGER NOT NULL, total INTEGER, completedAt INTEGER) STRICT`)
  db.exec(`INSERT INTO promptBatches (name, createdAt) VALUES ('nightly', ${START})`)
  db.close()
  const batches = await openSqliteBatches(path)
  t.after(() => batches.close())
  await batches.limitTokens('nightly', 5, START)
  const limited = { status: 'open', name: 'nightly', createdAt: START, tokenLimit: 5, activeAt: START }
  assert.deepEqual(await batches.read('nightly'), limited)
})
