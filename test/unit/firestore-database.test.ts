import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { freePort } from '../../cli/free-port.ts'
import { openDatabase } from '../../shared/stores/firestore/database.ts'
import { createDocumentWriter } from '../../shared/stores/firestore/document-writer.ts'
import { createRefusal } from '../../shared/stores/firestore/refusal.ts'
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

test('a database that does not exist, or denies this login, is an error that names it and its settings', async () => {
  let refusal = DENIED
  await using proxy = await openFirestoreProxy(DISCARD_PORT, () => refusal)
  const database = openDatabase({ project: 'p', database: 'records', emulator: proxy.address })
  const where = `Firestore at ${proxy.address} (project p, database records)`
  const calls = {
    get: () => database.get(`${database.root}/promptJobs/a`),
    write: () => database.batchWrite([{ delete: `${database.root}/promptJobs/a` }]),
  }
  const settings = 'GOOGLE_CLOUD_PROJECT and FIRESTORE_DATABASE name it'
  for (const call of Object.values(calls)) {
    refusal = DENIED
    const denied = `${where} denies this login the database: it needs roles/datastore.user; ${settings}`
    await assert.rejects(call, { code: 'unavailable', message: denied })
    refusal = NO_DATABASE
    await assert.rejects(call, { code: 'unavailable', message: `${where} has no such database: ${settings}` })
  }
  await database.close()
})

test('a Firestore that cannot be reached is named with its address, its database, what the connection met, and a fix', async () => {
  const emulator = `127.0.0.1:${await freePort()}`
  const database = openDatabase({ project: 'p', emulator })
  const put = createDocumentWriter(database)
  const name = `${database.root}/promptJobs/a`
  for (const call of [() => database.get(name), () => database.count('promptJobs', {}), () => put({ name })]) {
    await assert.rejects(call, {
      code: 'unavailable',
      message: `Firestore at ${emulator} (project p, database (default)) cannot be reached (connect ECONNREFUSED ${emulator}): check this emulator, or correct or unset FIRESTORE_EMULATOR_HOST, which names it`,
    })
  }
  await database.close()
})

for (const [what, error, expected] of [
  [
    'a name that does not resolve',
    grpcError(14, 'Name resolution failed for target dns:x'),
    /cannot be reached \(Name resolution failed\): check the network/,
  ],
  [
    'a login without a token',
    grpcError(2, 'Getting metadata from plugin failed with error: invalid_grant'),
    /does not accept the login: run gcloud auth application-default login$/,
  ],
  ['an answer that does not come', new Error('no answer for 10000 ms'), /did not answer in time: check the network/],
  ['a status without a fix of its own', grpcError(8, 'Quota exceeded'), /answered with status 8: check the network/],
] as const) {
  test(`an error of Firestore has its cause and its fix: ${what}`, () => {
    const { message } = createRefusal({ project: 'p', database: 'd', emulator: undefined })(error)
    assert.match(message, /^Firestore at firestore\.googleapis\.com \(project p, database d\) /)
    assert.match(message, expected)
  })
}

function grpcError(code: number, details: string): Error {
  return Object.assign(new Error(`${code} ${details}`), { code })
}

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
