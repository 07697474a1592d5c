import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { type TestContext, test } from 'node:test'
import { createJobStore } from '../../shared/stores/job-store/create-job-store.ts'
import { MAX_RESULT_BYTES } from '../../shared/stores/result-parts.ts'
import { openSqliteDocuments } from '../../shared/stores/sqlite/sqlite-documents.ts'
import { aStoreOf, onStore } from '../support/cli-store.ts'
import {
  aClaim,
  aDeadLetteredRecord,
  aJob,
  anAnswer,
  aRunningRecord,
  aSucceededRecord,
  DAY_MS,
} from '../support/job-builders.ts'
import { aTemporaryFile } from '../support/temporary-file.ts'

/** A store of one job that was answered so. */
async function storeOfAnswer(t: TestContext, result: string): Promise<string> {
  const path = await aStoreOf(t)
  const documents = await openSqliteDocuments(path, Date.now)
  const store = createJobStore(documents, DAY_MS)
  const claim = await store.claim(aClaim())
  assert.ok(claim.kind === 'run')
  await store.settle(claim.held, anAnswer({ result }), Date.now())
  documents.close()
  return path
}

function show(path: string, ...more: string[]) {
  return onStore(path, 'show', 'doc-7', '--batch', 'nightly', ...more)
}

test('show: a succeeded job is shown with its attempt, its tokens and the answer', async (t) => {
  const { code, stdout, stderr } = await show(await aStoreOf(t, aSucceededRecord))
  assert.deepEqual(stdout.split('\n'), [
    'doc-7  succeeded  (run 1)',
    'batch     nightly',
    'attempt   1  succeeded  gpt-4o-eu 200 request-1',
    'tokens    11 in, 7 out, finished by stop',
    'cost      about $0.000098 (prices of 2026-08-21)',
    '',
    '{}',
    '',
  ])
  assert.deepEqual([code, stderr], [0, ''])
})

test('show: an attempt says which deployment Azure asked by itself, and which tier answered', async (t) => {
  const [attempt] = aSucceededRecord.attempts
  assert.ok(attempt)
  const attempts = [{ ...attempt, tier: 'flex', spilledTo: 'gpt-standard' }]
  const { stdout } = await show(await aStoreOf(t, { ...aSucceededRecord, attempts }))
  assert.match(
    stdout,
    /^attempt {3}1 {2}succeeded {2}gpt-4o-eu 200 request-1 {2}\(spilled to gpt-standard, tier flex\)$/m,
  )
})

test('show: a failed job is shown with the reason and what to do', async (t) => {
  const error = { kind: 'rejected', code: 'content_filter', message: 'refused', hint: 'Change the prompt.' } as const
  const { code, stdout } = await show(await aStoreOf(t, aDeadLetteredRecord({ error })))
  assert.deepEqual(stdout.split('\n'), [
    'doc-7  dead_lettered  (run 1)',
    'batch     nightly',
    'attempt   1  rejected   400',
    'error     rejected (content_filter): refused',
    'to do     Change the prompt.',
    '',
  ])
  assert.equal(code, 0)
})

test('show: no text of a record can steer the terminal or add a line', async (t) => {
  const error = { kind: 'rejected', message: '\x1b[2Jrefused\r\nforged', hint: '\u202eok' } as const
  const { stdout } = await show(await aStoreOf(t, aDeadLetteredRecord({ error })))
  assert.deepEqual(stdout.split('\n').slice(3), [
    'error     rejected: \\u001b[2Jrefused forged',
    'to do     \\u202eok',
    '',
  ])
})

test('show: a job that is being run is shown with its attempt under way', async (t) => {
  const { stdout } = await show(await aStoreOf(t, aRunningRecord()))
  assert.equal(stdout, 'doc-7  running  (run 1)\nbatch     nightly\nattempt   1  under way\n')
})

test('show --json prints the whole record, with the answer where the record keeps it', async (t) => {
  const path = await aStoreOf(t, aSucceededRecord)
  const { stdout } = await show(path, '--json')
  assert.equal(stdout.split('\n').length, 2)
  const { key, attempts } = aSucceededRecord
  assert.partialDeepStrictEqual(JSON.parse(stdout), { key, attempts, status: 'succeeded', result: {} })
})

test('show: an answer keeps the digits of its numbers, for people and as JSON', async (t) => {
  const text = '{"seed":9007199254740993,\n"vector":[1.0,-0,1e-7]}'
  const path = await storeOfAnswer(t, text)
  const { stdout } = await show(path)
  const [, laidOut] = stdout.split('\n\n')
  assert.equal(laidOut, '{\n  "seed": 9007199254740993,\n  "vector": [\n    1.0,\n    -0,\n    1e-7\n  ]\n}\n')
  const asJson = await show(path, '--json')
  assert.match(asJson.stdout, /"result":\{"seed":9007199254740993,"vector":\[1\.0,-0,1e-7\]\}/)
  assert.equal(asJson.stdout.split('\n').length, 2)
})

test('show --json prints a failed job without a result', async (t) => {
  const { stdout } = await show(await aStoreOf(t, aDeadLetteredRecord()), '--json')
  const record: unknown = JSON.parse(stdout)
  assert.partialDeepStrictEqual(record, { status: 'dead_lettered', error: { code: 'content_filter' } })
  assert.equal(Object.hasOwn(Object(record), 'result'), false)
})

test('show: an answer that is kept in parts is shown whole', async (t) => {
  const long = 'x'.repeat(2 * MAX_RESULT_BYTES)
  const { stdout } = await show(await storeOfAnswer(t, JSON.stringify({ long })), '--json')
  assert.partialDeepStrictEqual(JSON.parse(stdout), { result: { long } })
})

test('show: a job without a batch is found without --batch', async (t) => {
  const job = aJob({ batch: '' })
  const path = await aStoreOf(t, aRunningRecord({ key: job.key, batch: '' }))
  const { stdout } = await onStore(path, 'show', 'doc-7')
  assert.equal(stdout, 'doc-7  running  (run 1)\nattempt   1  under way\n')
})

test('show: an id that was never submitted fails, and the error names the store that was searched', async (t) => {
  const path = await aStoreOf(t, aSucceededRecord)
  const other = await onStore(path, 'show', 'doc-7', '--batch', 'daily')
  const hint = 'to search another batch, use --batch'
  assert.deepEqual(other, {
    code: 1,
    stdout: '',
    stderr: `promptbridge: there is no job "doc-7" in batch "daily"; ${hint}\n`,
  })
  const nameless = await onStore(path, 'show', 'doc-7')
  assert.equal(nameless.stderr, `promptbridge: there is no job "doc-7" in the batch without a name; ${hint}\n`)
})

test('show: a database file that is missing is an error, and is not created', async (t) => {
  const path = await aTemporaryFile(t, 'nowhere.db')
  for (const _ of ['looked for', 'looked for again']) {
    const { code, stderr } = await show(path)
    assert.equal(stderr, `promptbridge: there is no file ${path}; name the file of the records with --store\n`)
    assert.equal(code, 1)
  }
})

test('show: a file that is no database is an error', async (t) => {
  const path = await aTemporaryFile(t, 'notes.txt')
  await writeFile(path, 'These are only notes, and far too many of them to be taken for a database. '.repeat(20))
  const { code, stdout } = await show(path)
  assert.deepEqual([code, stdout], [1, ''])
})
