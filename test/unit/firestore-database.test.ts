import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { openDatabase } from '../../shared/store/firestore/database.ts'
import { isStoreError } from '../contract/job-store-support.ts'

const DISCARD_PORT = '127.0.0.1:9'

test('a database that is closed rejects every call at once', async () => {
  const database = openDatabase({ project: 'closed', emulator: DISCARD_PORT })
  await database.close()
  const calls = {
    batchWrite: () => database.batchWrite([{ delete: `${database.root}/promptJobs/a` }]),
    get: () => database.get(`${database.root}/promptJobs/a`),
    newest: () => database.newest('promptJobs', 'createdAt'),
    since: () => database.since('tokenFailures', 'lastAt', 0),
    query: () => database.query(database.root, 'promptJobs', { batch: 'nightly' }),
    count: () => database.count('promptJobs', { batch: 'nightly' }),
    'close again': () => database.close().then(() => database.get('again')),
  }
  for (const [name, call] of Object.entries(calls)) {
    const late = nextTurn().then(() => Promise.reject(new Error('it waits')))
    await assert.rejects(Promise.race([call(), late]), isStoreError('unavailable'), name)
  }
})
