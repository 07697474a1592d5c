import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { JobRecord } from '../../shared/job/record.ts'
import { openSqliteBatches } from '../../shared/stores/sqlite/sqlite-batches.ts'
import { openSqliteDocuments } from '../../shared/stores/sqlite/sqlite-documents.ts'
import { aStoreOf, onStore } from '../support/cli-store.ts'
import { aDeadLetteredRecord, aRunningRecord, aSucceededRecord } from '../support/job-builders.ts'
import { startCommand } from './cli-harness.ts'

const ANSWER = JSON.stringify({ choices: [{ message: { content: 'Bridges.' }, finish_reason: 'stop' }] })
const named = <T extends JobRecord>(record: T, id: string): T => ({ ...record, id, key: id })
const succeeded = (id: string) => ({ ...named(aSucceededRecord, id), result: { in: 'record', text: ANSWER } as const })
const failed = (id: string) => named(aDeadLetteredRecord({ error: { kind: 'budget', message: 'over' } }), id)

/** A batch of three jobs, of which these have records. */
async function aBatchOf(t: TestContext, ...records: readonly JobRecord[]): Promise<string> {
  const path = await aStoreOf(t, ...records)
  const batches = await openSqliteBatches(path)
  await batches.open('nightly', Date.UTC(2026, 0, 1))
  await batches.seal('nightly', 3, Date.now())
  batches.close()
  return path
}

const HALF = () => [succeeded('one'), named(aRunningRecord(), 'two')]
const WHOLE = () => [succeeded('one'), succeeded('two'), failed('three')]

test('batches: each is listed with how far it has come', async (t) => {
  const { code, stdout } = await onStore(await aBatchOf(t, ...HALF()), 'batches')
  assert.deepEqual([code, stdout], [0, 'nightly  2026-01-01T00:00:00Z  1 of 3 settled  running\n'])
  assert.deepEqual(await onStore(await aStoreOf(t), 'batches'), { code: 0, stdout: 'no batches\n', stderr: '' })
})

test('batch: its figures are counted against its total, and an unknown batch is an error', async (t) => {
  const path = await aBatchOf(t, ...HALF())
  const { code, stdout } = await onStore(path, 'batch', 'nightly', '--json')
  const counts = { running: 1, succeeded: 1 }
  assert.partialDeepStrictEqual(JSON.parse(stdout), { state: 'running', total: 3, settled: 1, notStarted: 1, counts })
  assert.equal(code, 0)
  assert.deepEqual(await onStore(path, 'batch', 'weekly'), {
    ...{ code: 1, stdout: '', stderr: 'promptbridge: there is no batch "weekly"\n' },
  })
})

test('batch --watch: ends when the batch has ended, and shows plain lines where there is no terminal', async (t) => {
  const path = await aBatchOf(t, ...HALF())
  const command = startCommand(t, ['batch', 'nightly', '--watch', '--store', `sqlite:${path}`])
  await command.noted(/1 of 3 settled/)
  const documents = await openSqliteDocuments(path, Date.now)
  const running = await documents.read('two')
  await documents.replace(succeeded('two'), running?.revision ?? '')
  await documents.create(failed('three'))
  documents.close()
  const { code, stdout, stderr } = await command.ended
  assert.match(stdout, /^nightly {2}complete\nsettled {6}3 of 3\n/)
  assert.match(stderr, /3 of 3 settled, 0 running, 1 failed/)
  assert.equal(code, 0)
})

test('wait: exits with 0, 4 or 5 as the batch succeeds, takes too long or has failed jobs', async (t) => {
  const done = await aBatchOf(t, succeeded('one'), succeeded('two'), succeeded('three'))
  assert.equal((await onStore(done, 'wait', 'nightly')).code, 0)
  const withFailure = await onStore(await aBatchOf(t, ...WHOLE()), 'wait', 'nightly')
  assert.equal(withFailure.code, 5)
  assert.match(withFailure.stdout, /^failed {7}1\n {2}budget {7}1$/m)
  const late = await onStore(await aBatchOf(t, ...HALF()), 'wait', 'nightly', '--timeout', '1s')
  assert.equal(late.code, 4)
  assert.match(late.stdout, /^settled {6}1 of 3$/m)
})

test('wait: Ctrl-C ends it with 130 and the figures', async (t) => {
  const path = await aBatchOf(t, ...HALF())
  const command = startCommand(t, ['wait', 'nightly', '--store', `sqlite:${path}`])
  await command.noted(/1 of 3 settled/)
  command.signal('SIGINT')
  assert.partialDeepStrictEqual(await command.ended, { code: 130 })
})

test('results: what is to come is counted against the total, and the exit code is 3 unless a part was asked for', async (t) => {
  const path = await aBatchOf(t, ...HALF())
  const { code, stdout, stderr } = await onStore(path, 'results', 'nightly')
  assert.equal(JSON.parse(stdout).custom_id, 'one')
  assert.deepEqual([code, stderr], [3, 'promptbridge: 1 of 3 jobs of nightly; 2 to come\n'])
  assert.equal((await onStore(path, 'results', 'nightly', '--partial')).code, 0)
})

test('results --errors: failed jobs are in a file of their own, and an older one is replaced', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'results-'))
  t.after(() => rm(folder, { recursive: true }))
  const errors = join(folder, 'failed.jsonl')
  const path = await aBatchOf(t, ...WHOLE())
  const { code, stdout, stderr } = await onStore(path, 'results', 'nightly', '--errors', errors)
  assert.deepEqual(
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).custom_id),
    ['one', 'two'],
  )
  assert.partialDeepStrictEqual(JSON.parse(await readFile(errors, 'utf8')), {
    custom_id: 'three',
    error: { code: 'budget' },
  })
  assert.deepEqual([code, stderr], [0, `1 failed jobs: ${errors}\n`])
  assert.equal((await onStore(path, 'results', 'nightly', '--errors', '/dev/null')).code, 0)
  assert.ok((await stat('/dev/null')).isCharacterDevice())
  const same = await onStore(path, 'results', 'nightly', '--errors', errors, '--output', errors)
  assert.deepEqual([same.code, same.stderr], [2, 'promptbridge: --output and --errors name the same file\n'])
  const three = [succeeded('one'), succeeded('two'), succeeded('three')]
  await onStore(await aBatchOf(t, ...three), 'results', 'nightly', '--errors', errors)
  assert.deepEqual(await readdir(folder), [])
})

test('results --output-dir: each answer is a file, and failed jobs are in errors.jsonl', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'results-'))
  t.after(() => rm(folder, { recursive: true }))
  const path = await aBatchOf(t, succeeded('docs/a.md'), succeeded('two'), failed('three'))
  assert.equal((await onStore(path, 'results', 'nightly', '--output-dir', folder)).code, 0)
  const [first = '', ...others] = (await readdir(folder)).toSorted()
  assert.match(first, /^docs_a\.md-[0-9a-f]{10}\.txt$/)
  assert.deepEqual(others, ['errors.jsonl', 'two.txt'])
  assert.equal(await readFile(join(folder, first), 'utf8'), 'Bridges.\n')
})

test('results --format csv: a header and a row for each job', async (t) => {
  const { stdout } = await onStore(await aBatchOf(t, ...WHOLE()), 'results', 'nightly', '--format', 'csv')
  const [header, row, ...others] = stdout.split('\r\n')
  assert.equal(others.at(-1), '')
  assert.match(header ?? '', /^id,status,text,/)
  assert.match(row ?? '', /^one,succeeded,Bridges\.,stop,gpt-4o,11,7,/)
})

test('results --follow: each result is written once, when its job is settled', async (t) => {
  const path = await aBatchOf(t, ...HALF())
  const command = startCommand(t, ['results', 'nightly', '--follow', '--store', `sqlite:${path}`])
  await command.printed(/"custom_id":"one"/)
  const documents = await openSqliteDocuments(path, Date.now)
  const running = await documents.read('two')
  await documents.replace(succeeded('two'), running?.revision ?? '')
  await documents.create(failed('three'))
  documents.close()
  const { code, stdout } = await command.ended
  assert.deepEqual(
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).custom_id)
      .toSorted(),
    ['one', 'three', 'two'],
  )
  assert.equal(code, 0)
})

test('results | head: a reader that closes its end is no failure', async (t) => {
  const many = Array.from({ length: 2_000 }, (_, n) => succeeded(`doc-${n}`))
  const command = startCommand(t, [
    'results',
    'nightly',
    '--partial',
    '--store',
    `sqlite:${await aBatchOf(t, ...many)}`,
  ])
  await command.printed(/"custom_id"/)
  command.stopReading()
  assert.partialDeepStrictEqual(await command.ended, { code: 0, stderr: '' })
})
