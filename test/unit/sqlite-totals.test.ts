import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { JobRecord } from '../../shared/job/record.ts'
import { succeeded } from '../../shared/job/transitions.ts'
import { openSqliteDocuments, type SqliteDocuments } from '../../shared/stores/sqlite/sqlite-documents.ts'
import {
  aDeadLetteredRecord,
  anAnswer,
  aRunningRecord,
  aSucceededRecord,
  aWaitingRecord,
  DAY_MS,
  START,
} from '../support/job-builders.ts'
import { openLastRelease } from '../support/last-release-file.ts'
import { aTemporaryFile } from '../support/temporary-file.ts'

const DAY = '2026-11-24'
const BATCHES = ['a', 'b']

/** What a record may become, each with tokens of its own. */
const records = fc
  .record({
    key: fc.constantFrom('one', 'two', 'three', 'four'),
    batch: fc.constantFrom(...BATCHES),
    kind: fc.constantFrom('running', 'waiting', 'succeeded', 'dead_lettered'),
    tokens: fc.nat(50),
    by: fc.constantFrom('this', 'last', 'deleted'),
  })
  .map(({ by, key, batch, kind, tokens }) => ({ by, record: recordAs(kind, { key, batch }, tokens) }))

function recordAs(kind: string, name: { readonly key: string; readonly batch: string }, tokens: number): JobRecord {
  if (kind === 'running') return aRunningRecord(name)
  if (kind === 'waiting') return aWaitingRecord(name)
  if (kind === 'dead_lettered') return aDeadLetteredRecord(name)
  const usage = { promptTokens: tokens, completionTokens: 2 * tokens }
  const at = { now: START, expireAt: START + DAY_MS }
  return succeeded(aRunningRecord(name), anAnswer({ usage }), { in: 'record', text: '{}' }, at)
}

test('counts and sums are those of the records, whichever release writes or deletes them', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(records, { maxLength: 30 }), async (steps) => {
      const path = await aTemporaryFile(t)
      const last = openLastRelease(path)
      for (const { record } of steps.slice(0, 3)) last.create(record)
      const documents = await openSqliteDocuments(path, () => START)
      for (const { by, record } of steps) {
        if (by === 'deleted') last.db.prepare('DELETE FROM promptJobs WHERE key = ?').run(record.key)
        else if (by === 'this') await put(documents, record)
        else {
          last.create(record)
          last.replace(record, Number((await documents.read(record.key))?.revision))
        }
      }
      for (const batch of BATCHES) assert.deepEqual(await kept(documents, batch), await counted(path, batch))
      documents.close()
      last.close()
    }),
    { numRuns: 15 },
  )
})

async function put(documents: SqliteDocuments, record: JobRecord): Promise<void> {
  const { kind } = await documents.create(record)
  const found = await documents.read(record.key)
  if (kind === 'refused' && found !== undefined) await documents.replace(record, found.revision)
}

async function kept(documents: SqliteDocuments, batch: string) {
  const [counts, ofBatch, ofDay] = await Promise.all([
    documents.countByStatus(batch),
    documents.sumUsage({ batch }),
    documents.sumUsage({ day: DAY }),
  ])
  return { counts, ofBatch, ofDay }
}

/** By the statements of the last release, over all records. */
async function counted(path: string, batch: string) {
  const { db, close } = openLastRelease(path)
  const sum = (by: string, name: string) => ({
    ...db
      .prepare(
        `SELECT TOTAL(promptTokens) AS promptTokens, TOTAL(completionTokens) AS completionTokens FROM promptJobs
        WHERE ${by} = ? AND promptTokens IS NOT NULL`,
      )
      .get(name),
  })
  const rows = db.prepare('SELECT status, COUNT(*) AS n FROM promptJobs WHERE batch = ? GROUP BY status').all(batch)
  const found = {
    counts: Object.fromEntries(rows.map(({ status, n }) => [String(status), n])),
    ofBatch: sum('batch', batch),
    ofDay: sum('day', DAY),
  }
  close()
  return found
}

test('a write that is rolled back is not counted', async (t) => {
  const path = await aTemporaryFile(t)
  const documents = await openSqliteDocuments(path, () => START)
  t.after(() => documents.close())
  const { db, create, close } = openLastRelease(path)
  t.after(close)
  db.exec('BEGIN')
  create(aRunningRecord())
  db.exec('ROLLBACK')
  assert.deepEqual(await documents.countByStatus('nightly'), {})
})

test('the tokens of an answer that a person edited to null are counted as none', async (t) => {
  const path = await aTemporaryFile(t)
  const { db, create, close } = openLastRelease(path)
  t.after(close)
  create(aSucceededRecord)
  db.exec('UPDATE promptJobs SET completionTokens = NULL')
  const documents = await openSqliteDocuments(path, () => START)
  t.after(() => documents.close())
  assert.deepEqual(await documents.sumUsage({ batch: 'nightly' }), { promptTokens: 11, completionTokens: 0 })
  db.exec('UPDATE promptJobs SET promptTokens = NULL')
  assert.deepEqual(await documents.sumUsage({ batch: 'nightly' }), { promptTokens: 0, completionTokens: 0 })
})

test('a status that only a later release knows is left out of the counts', async (t) => {
  const path = await aTemporaryFile(t)
  const documents = await openSqliteDocuments(path, () => START)
  t.after(() => documents.close())
  const { db, close } = openLastRelease(path)
  t.after(close)
  await documents.create(aRunningRecord())
  await documents.create(aRunningRecord({ key: 'later' }))
  db.exec(`UPDATE promptJobs SET status = 'submitted' WHERE key = 'later'`)
  assert.deepEqual(await documents.countByStatus('nightly'), { running: 1 })
})
