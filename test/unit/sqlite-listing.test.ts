import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { succeeded } from '../../shared/job/transitions.ts'
import { recordOf } from '../../shared/stores/job-reader.ts'
import { MAX_RESULT_BYTES } from '../../shared/stores/result-parts.ts'
import { openSqliteDocuments } from '../../shared/stores/sqlite/sqlite-documents.ts'
import { anAnswer, aRunningRecord, aWaitingRecord, DAY_MS, START } from '../support/job-builders.ts'
import { aTemporaryFile } from '../support/temporary-file.ts'

const BATCH = 'nightly'

async function aStore(t: TestContext) {
  const documents = await openSqliteDocuments(await aTemporaryFile(t), () => START)
  t.after(() => documents.close())
  return documents
}

/** Of nearly a megabyte. */
function aLargeRecord(key: string) {
  const result = { in: 'record', text: JSON.stringify('x'.repeat(MAX_RESULT_BYTES - 2)) } as const
  return succeeded(aRunningRecord({ key }), anAnswer(), result, { now: START, expireAt: START + DAY_MS })
}

test('a batch of many pages is listed once each, and the event loop turns between its pages', async (t) => {
  const documents = await aStore(t)
  const keys = Array.from({ length: 450 }, (_, n) => `key-${n}`)
  await Promise.all(keys.map((key) => documents.create(aRunningRecord({ key }))))
  await documents.create(aRunningRecord({ key: 'of another batch', batch: 'another' }))
  const turned = new Set<number>()
  const listed: string[] = []
  let turns = 0
  const turn = () => {
    turns += 1
    if (listed.length < keys.length) setImmediate(turn)
  }
  setImmediate(turn)
  for await (const each of documents.list(BATCH)) {
    listed.push(recordOf(each).key)
    turned.add(turns)
  }
  assert.deepEqual(listed, keys)
  assert.ok(turned.size >= 3, `${turned.size} pages`)
})

test('large records are read a few at a time: one that is made meanwhile is listed, too', async (t) => {
  const documents = await aStore(t)
  for (const key of ['one', 'two', 'three', 'four']) await documents.create(aLargeRecord(key))
  const listed: string[] = []
  for await (const each of documents.list(BATCH)) {
    if (listed.length === 0) await documents.create(aLargeRecord('made meanwhile'))
    listed.push(recordOf(each).key)
  }
  assert.deepEqual(listed, ['one', 'two', 'three', 'four', 'made meanwhile'])
})

test('a record that changes its status while its batch is listed is listed once', async (t) => {
  const documents = await aStore(t)
  const keys = Array.from({ length: 401 }, (_, n) => `key-${n}`)
  await Promise.all(keys.map((key) => documents.create(aRunningRecord({ key }))))
  const listed: string[] = []
  for await (const each of documents.list(BATCH)) {
    const { key } = recordOf(each)
    listed.push(key)
    await documents.replace(aWaitingRecord({ key }), '1')
  }
  assert.deepEqual(listed, keys)
})

test('the parts of a result are read one at a time', async (t) => {
  const documents = await aStore(t)
  for (const n of [0, 1, 2]) await documents.writePart('key', 'a', n, `part ${n}`, START)
  const read: string[] = []
  for await (const text of documents.readParts('key', 'a')) {
    read.push(text)
    await documents.writePart('key', 'a', read.length, `read after ${read.length}`, START)
    if (read.length === 3) break
  }
  assert.deepEqual(read, ['part 0', 'read after 1', 'read after 2'])
})
