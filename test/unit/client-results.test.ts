import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { createResultReader } from '../../shared/client/index.ts'
import { openSqliteDocuments } from '../../shared/stores/sqlite/sqlite-documents.ts'
import { aSucceededRecord, START } from '../support/job-builders.ts'
import { aTemporaryFile } from '../support/temporary-file.ts'

test('results: a record that cannot be read is listed as unreadable, and the others as they are', async (t) => {
  const path = await aTemporaryFile(t)
  const documents = await openSqliteDocuments(path, () => START)
  t.after(() => documents.close())
  for (const key of ['one', 'two', 'three']) await documents.create({ ...aSucceededRecord, key })
  const other = new DatabaseSync(path)
  other.exec(`UPDATE promptJobs SET record = '{' WHERE key = 'two'`)
  other.close()
  await using results = await createResultReader({ store: `sqlite:${path}` })
  const listed = await Array.fromAsync(results.list('nightly'))
  assert.deepEqual(
    listed.map(({ key, status }) => [key, status]),
    [
      ['one', 'succeeded'],
      ['two', 'unreadable'],
      ['three', 'succeeded'],
    ],
  )
})

test('results: a file that is not there is an error that names it', async (t) => {
  const path = await aTemporaryFile(t)
  await assert.rejects(createResultReader({ store: `sqlite:${path}` }), {
    code: 'unavailable',
    message: `there is no file ${path}`,
  })
})
