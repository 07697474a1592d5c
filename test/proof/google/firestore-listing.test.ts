import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { openDatabase } from '../../../shared/stores/firestore/database.ts'
import { createFirestoreDocuments } from '../../../shared/stores/firestore/firestore-documents.ts'
import { recordOf } from '../../../shared/stores/job-reader.ts'
import { openFirestoreProxy } from '../../support/firestore-proxy.ts'
import { aRunningRecord } from '../../support/job-builders.ts'
import { startWarmEmulator } from '../support/emulators.ts'

const AT_ONCE = 10

const firestore = await startWarmEmulator('firestore')
after(() => firestore.close())

test('a batch of many jobs is listed in one call, every record once', async () => {
  let queries = 0
  await using proxy = await openFirestoreProxy(firestore.address, (method) => {
    if (method === 'RunQuery') queries += 1
    return undefined
  })
  const database = openDatabase({ project: 'listing', emulator: proxy.address })
  const documents = createFirestoreDocuments(database)
  const keys = Array.from({ length: 250 }, (_, n) => `key-${String(n).padStart(3, '0')}`)
  const batch = 'nightly'
  // A few at a time: each create has a deadline of its own, and the emulator takes them one after another.
  for (let at = 0; at < keys.length; at += AT_ONCE) {
    await Promise.all(keys.slice(at, at + AT_ONCE).map((key) => documents.create(aRunningRecord({ key, batch }))))
  }
  await documents.create(aRunningRecord({ key: 'of another', batch: 'another' }))
  const listed = await Array.fromAsync(documents.list(batch), recordOf)
  await database.close()
  assert.deepEqual(listed.map(({ key }) => key).toSorted(), keys)
  assert.equal(queries, 1)
})
