import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { openDatabase } from '../../shared/stores/firestore/database.ts'
import { isStoreError } from '../contract/job-store-support.ts'
import { DATASTORE_MODE, DENIED, NO_DATABASE, NO_INDEX, openFirestoreProxy } from '../support/firestore-proxy.ts'

const DISCARD_PORT = '127.0.0.1:9'

test('a database that is closed rejects every call at once', async () => {
  const database = openDatabase({ project: 'closed', emulator: DISCARD_PORT })
  await database.close()
  const calls = {
    batchWrite: () => database.batchWrite([{ delete: `${database.root}/promptJobs/a` }]),
    get: () => database.get(`${database.root}/promptJobs/a`),
    newest: () => database.newest('promptJobs', 'createdAt'),
    since: () => database.since('tokenFailures', 'lastAt', { since: 0, direction: 'DESCENDING' }),
    walk: () => Array.fromAsync(database.walk('promptJobs', { equal: {}, after: undefined })),
    count: () => database.count('promptJobs', { batch: 'nightly' }),
    'close again': () => database.close().then(() => database.get('again')),
  }
  for (const [name, call] of Object.entries(calls)) {
    const late = nextTurn().then(() => Promise.reject(new Error('it waits')))
    await assert.rejects(Promise.race([call(), late]), isStoreError('unavailable'), name)
  }
})

for (const [what, option, id] of [
  ['the default database, where none is named', {}, '(default)'],
  ['the database that is named', { database: 'promptbridge-records' }, 'promptbridge-records'],
] as const) {
  test(`every call goes to ${what}`, async () => {
    const calls: { method: string; isOfIt: boolean; prefix: unknown }[] = []
    const path = `projects/p/databases/${id}`
    await using proxy = await openFirestoreProxy(DISCARD_PORT, (method, request, headers) => {
      const [prefix] = headers.get('google-cloud-resource-prefix')
      calls.push({ method, isOfIt: request.includes(path), prefix })
      return DENIED
    })
    const database = openDatabase({ project: 'p', ...option, emulator: proxy.address })
    assert.equal(database.root, `${path}/documents`)
    await Promise.allSettled([
      database.batchWrite([{ delete: `${database.root}/promptJobs/a` }]),
      database.get(`${database.root}/promptJobs/a`),
      database.newest('promptBatches', 'createdAt'),
      database.count('promptJobs', {}),
    ])
    await database.close()
    const expected = ['BatchGetDocuments', 'BatchWrite', 'RunAggregationQuery', 'RunQuery']
    assert.deepEqual(
      calls.toSorted((a, b) => a.method.localeCompare(b.method)),
      expected.map((method) => ({ method, isOfIt: true, prefix: path })),
    )
  })
}

test('a database that does not exist, or denies this login, is an error that names its settings', async () => {
  let refusal = DENIED
  await using proxy = await openFirestoreProxy(DISCARD_PORT, () => refusal)
  const database = openDatabase({ project: 'p', emulator: proxy.address })
  const get = () => database.get(`${database.root}/promptJobs/a`)
  await assert.rejects(get, {
    code: 'unavailable',
    message: /denies this login the database that .*FIRESTORE_DATABASE/,
  })
  refusal = NO_DATABASE
  await assert.rejects(get, { code: 'unavailable', message: /no such database: .*FIRESTORE_DATABASE/ })
  await database.close()
})

test('a query without its index is reported as that, with its fix; no other error of that status is', async () => {
  let refusal = NO_INDEX
  await using proxy = await openFirestoreProxy(DISCARD_PORT, () => refusal)
  const database = openDatabase({ project: 'p', emulator: proxy.address })
  const range = { from: '0 ', to: '0 2', limit: 1, after: undefined }
  const queries = {
    sum: () => database.sum('promptJobs', { batch: 'nightly' }, ['usage.promptTokens']),
    count: () => database.count('promptJobs', { batch: 'nightly' }),
    range: () => database.range('promptJobs', 'due', range),
    since: () => database.since('promptBatches', 'toSweep', { since: 0, direction: 'ASCENDING' }),
    newest: () => database.newest('promptBatches', 'createdAt'),
  }
  for (const [name, query] of Object.entries(queries)) {
    await assert.rejects(query, { code: 'no_index', message: /deploy\/firestore\.indexes\.json.*doctor/ }, name)
  }
  refusal = DATASTORE_MODE
  await assert.rejects(queries.sum, isStoreError('unavailable'))
  await database.close()
})
