import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { startPubSubPush } from '../../local/pubsub-push/pubsub-push.ts'
import { openSqlite } from '../../shared/lib/sqlite.ts'
import { openQueueReport } from '../../shared/queues/sqlite/queue-report.ts'
import { openSqliteBatches } from '../../shared/stores/sqlite/sqlite-batches.ts'
import { openSqliteDocuments } from '../../shared/stores/sqlite/sqlite-documents.ts'
import { aSucceededRecord } from '../support/job-builders.ts'
import { runHosted } from '../support/run-hosted.ts'
import { startCloud } from '../support/stand-ins.ts'
import { startWorker } from '../support/worker.ts'
import { newFolder, runCommand, until } from './cli-harness.ts'

const TOPIC = 'promptbridge-jobs'

function batchLine(id: string, content: string): string {
  const body = { model: 'gpt-4o-mini', messages: [{ role: 'user', content }] }
  return JSON.stringify({ custom_id: id, method: 'POST', url: '/v1/chat/completions', body })
}

async function openFolder(t: TestContext, lines: readonly string[]) {
  const folder = await newFolder(t)
  const jobs = join(folder, 'jobs.jsonl')
  await writeFile(jobs, lines.join('\n'))
  return { folder, jobs, file: join(folder, 'state.db'), store: ['--store', `sqlite:${join(folder, 'state.db')}`] }
}

test('lines of a Batch file are submitted, run by the worker, and come back as Batch output lines', async (t) => {
  const lines = [batchLine('a', 'Summarise: one.'), '', batchLine('b', 'Summarise: two.'), batchLine('c', 'Three.')]
  const { jobs, file, store } = await openFolder(t, lines)
  const submitted = await runCommand(t, ['submit', jobs, '--batch', 'nightly', ...store])
  assert.partialDeepStrictEqual(submitted, { code: 0, stderr: '' })
  assert.match(
    submitted.stdout,
    /^3 jobs published\nbatch nightly\nabout \d+ input tokens, 3 jobs have no output cap\ncost without the answers of these jobs \$0/,
  )

  await using cloud = await startCloud()
  await using worker = await startWorker(cloud, { settings: { STORE: `sqlite:${file}` } })
  const subscription = { name: 'projects/p/subscriptions/s', topic: TOPIC, endpoint: `${worker.url}/push` }
  const push = await startPubSubPush({ file, subscriptions: [subscription] })
  t.after(() => push.close())
  await until(async () => (await push.status()).every(({ acked }) => acked === 3), 'not all jobs are acknowledged')

  const { code, stdout } = await runCommand(t, ['results', 'nightly', '--output', '-', ...store])
  assert.equal(code, 0)
  const results = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    results
      .map(({ custom_id, response, error }) => [custom_id, response.status_code, response.body.object, error])
      .toSorted(),
    ['a', 'b', 'c'].map((id) => [id, 200, 'chat.completion', null]),
  )
  const shown = await runCommand(t, ['show', 'b', '--batch', 'nightly', ...store, '--json'])
  assert.equal(JSON.parse(shown.stdout).status, 'succeeded')
})

test('submit: a batch is sealed with its token limit and the number of jobs it has: an id that is repeated is one', async (t) => {
  const { jobs, file, store } = await openFolder(t, [batchLine('a', 'x'), batchLine('b', 'x'), batchLine('a', 'x')])
  const options = ['--batch', 'nightly', '--token-limit', '5', '--json']
  const { stdout } = await runHosted(['submit', jobs, ...options, ...store])
  assert.partialDeepStrictEqual(JSON.parse(stdout), {
    batch: 'nightly',
    published: 2,
    repeated: 1,
    refused: 0,
    problems: [],
  })
  const batches = await openSqliteBatches(file)
  const latest = (await batches.list(1))[0]
  batches.close()
  assert.partialDeepStrictEqual(latest, { status: 'sealed', name: 'nightly', total: 2, tokenLimit: 5 })
})

/** How many messages were published to a file. */
async function publishedTo(file: string): Promise<number> {
  if (!existsSync(file)) return 0
  const report = await openQueueReport(file)
  const { published } = await report.counts(TOPIC, Date.now())
  report.close()
  return published
}

const WITH_ERRORS = [batchLine('a', 'x'), '{"custom_id": 7}', batchLine('b', 'x'), 'no']

test('submit: a line that is no job is reported by its number, nothing is sent, and the name of the batch is free', async (t) => {
  const { jobs, file, store } = await openFolder(t, WITH_ERRORS)
  const { code, stdout, stderr } = await runHosted(['submit', jobs, '--batch', 'nightly', ...store])
  assert.deepEqual([code, stdout, await publishedTo(file)], [2, '', 0])
  assert.match(
    stderr,
    /^line 2: custom_id: .*\nline 4: the data is not JSON\npromptbridge: nothing was sent, because 2 lines are no jobs; /,
  )
  await writeFile(jobs, [batchLine('a', 'x'), batchLine('b', 'x')].join('\n'))
  assert.equal((await runHosted(['submit', jobs, '--batch', 'nightly', ...store])).code, 0)
})

test('submit --skip-invalid sends the other lines, and --json lists those that were left out', async (t) => {
  const { jobs, file, store } = await openFolder(t, WITH_ERRORS)
  const { code, stdout } = await runHosted(['submit', jobs, '--skip-invalid', '--json', ...store])
  const { problems, ...report } = JSON.parse(stdout)
  assert.partialDeepStrictEqual(report, { published: 2, refused: 2 })
  assert.match(report.batch, /^jobs-[0-9a-f]{12}$/)
  assert.deepEqual(
    problems.map(({ line }: { line: number }) => line),
    [2, 4],
  )
  assert.deepEqual([code, await publishedTo(file)], [0, 2])
})

test('submit --check sends nothing, and prints every problem, the tokens and the price', async (t) => {
  const many = await openFolder(
    t,
    Array.from({ length: 30 }, () => 'no'),
  )
  const wrong = await runHosted(['submit', many.jobs, '--check', ...many.store])
  assert.deepEqual([wrong.code, wrong.stderr.split('\n').length], [2, 31])
  const { jobs, file, store } = await openFolder(t, [batchLine('a', 'x')])
  const { code, stdout } = await runHosted(['submit', jobs, '--check', ...store])
  assert.match(
    stdout,
    /^1 jobs\nabout \d+ input tokens, 1 jobs have no output cap\ncost without the answers of these jobs \$0/,
  )
  assert.deepEqual([code, existsSync(file)], [0, false])
})

const WARNED = [
  [
    'a model that no deployment serves',
    { model: 'gpt-9' },
    /1 jobs ask for gpt-9, which no deployment serves \(there are gpt-5\.4\)/,
  ],
  [
    'a cap above the limit',
    { model: 'gpt-5.4', max_completion_tokens: 60 },
    /asks for 60 output tokens; MAX_OUTPUT_TOKENS allows 50/,
  ],
  ['max_tokens of a model that refuses it', { model: 'gpt-5.4', max_tokens: 5 }, /1 jobs for gpt-5\.4 set max_tokens/],
] as const

for (const [what, body, warning] of WARNED) {
  test(`submit: ${what} is a warning, and with --strict an error`, async (t) => {
    const line = { custom_id: 'a', url: '/v1/chat/completions', body: { messages: [], ...body } }
    const { jobs, file, store } = await openFolder(t, [JSON.stringify(line)])
    const env = { AZURE_OPENAI_DEPLOYMENT: 'gpt-5.4', MAX_OUTPUT_TOKENS: '50' }
    const strict = await runHosted(['submit', jobs, '--strict', ...store], { env })
    assert.deepEqual([strict.code, await publishedTo(file)], [2, 0])
    assert.match(strict.stderr, warning)
    const lenient = await runHosted(['submit', jobs, ...store], { env })
    assert.deepEqual([lenient.code, await publishedTo(file)], [0, 1])
    assert.match(lenient.stderr, warning)
  })
}

test('submit: the deadline and the priority are attributes of each message', async (t) => {
  const { jobs, file, store } = await openFolder(t, [batchLine('a', 'x')])
  const options = ['--deadline', '2026-12-01T06:00:00Z', '--priority', 'low', '--batch', 'nightly']
  await runHosted(['submit', jobs, ...options, ...store])
  const report = await openQueueReport(file)
  const [message] = await report.list(TOPIC, { limit: 1 })
  report.close()
  const attributes = { batch: 'nightly', 'pb-deadline': '2026-12-01T06:00:00.000Z', 'pb-priority': 'low' }
  assert.deepEqual(message?.attributes, attributes)
  assert.equal((await runHosted(['submit', jobs, '--deadline', 'soon', ...store])).code, 2)
})

test('submit of a file of UTF-16 is an error that says so', async (t) => {
  const { jobs, store } = await openFolder(t, [])
  await writeFile(jobs, Buffer.from(`\ufeff${batchLine('a', 'x')}\r\n`, 'utf16le'))
  const stderr = 'promptbridge: the input is UTF-16 text: save the file as UTF-8\n'
  assert.deepEqual(await runHosted(['submit', jobs, ...store]), { code: 2, stdout: '', stderr })
})

for (const [what, name, problem] of [
  ['that is not there', 'nowhere.jsonl', /there is no file .*nowhere\.jsonl$/m],
  ['that is a folder', '.', /is a folder, and not a file of jobs;/m],
  ['that is empty', 'jobs.jsonl', /there is no job in .*jobs\.jsonl$/m],
] as const) {
  test(`submit of a file ${what} leaves nothing behind, not even a store`, async (t) => {
    const { folder, file, store } = await openFolder(t, [])
    const { code, stderr } = await runHosted(['submit', join(folder, name), '--batch', 'nightly', ...store])
    assert.equal(code, 2)
    assert.match(stderr, problem)
    assert.equal(existsSync(file), false)
  })
}

test('submit of standard input publishes its bytes, and refuses what is not UTF-8 with its line', async (t) => {
  const { file, store } = await openFolder(t, [])
  const line = Buffer.from(batchLine('a', 'one\u2028two'))
  const input = Buffer.concat([line, Buffer.from(`\r\n${batchLine('b', 'caf\xe9')}\n`, 'latin1')])
  const { code, stdout, stderr } = await runCommand(t, ['submit', '-', '--skip-invalid', ...store], { input })
  assert.equal(code, 0)
  assert.match(stdout, /^1 jobs published\nbatch standard-input-[0-9a-f]{12}\n/)
  assert.equal(stderr, 'line 2: the data is not UTF-8 text\n')
  const report = await openQueueReport(file)
  const [message, ...others] = await report.list(TOPIC, { limit: 10 })
  report.close()
  assert.deepEqual([message && Buffer.from(message.data), others], [line, []])
})

test('submit of a pipe publishes what it holds', async (t) => {
  const { folder, file, store } = await openFolder(t, [])
  const pipe = join(folder, 'pipe')
  execFileSync('mkfifo', [pipe])
  const [{ code, stdout }] = await Promise.all([
    runHosted(['submit', pipe, ...store]),
    writeFile(pipe, batchLine('a', 'x')),
  ])
  assert.match(stdout, /^1 jobs published\nbatch piped-input-[0-9a-f]{12}\n/)
  assert.deepEqual([code, await publishedTo(file)], [0, 1])
})

test('results are read from a file that is kept locked, and a record that cannot be read is noted', async (t) => {
  const { file, store } = await openFolder(t, [])
  const documents = await openSqliteDocuments(file, Date.now)
  t.after(() => documents.close())
  for (const key of ['a', 'b', 'c']) await documents.create({ ...aSucceededRecord, key, id: key })
  const other = openSqlite(file, 'NORMAL')
  t.after(() => other.close())
  other.exec(`UPDATE promptJobs SET record = '{' WHERE key = 'b'`)
  other.exec('BEGIN IMMEDIATE')
  const { code, stdout, stderr } = await runHosted(['results', 'nightly', ...store])
  assert.deepEqual([code, stderr], [1, 'promptbridge: 1 records cannot be read and have no line: b\n'])
  assert.deepEqual(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).custom_id),
    ['a', 'c'],
  )
})

test('results of a batch that was never submitted say so', async (t) => {
  const { jobs, store } = await openFolder(t, [batchLine('a', 'x')])
  await runHosted(['submit', jobs, '--batch', 'nightly', ...store])
  const { code, stderr } = await runHosted(['results', 'weekly', ...store])
  assert.deepEqual([code, stderr], [1, 'promptbridge: there is no batch "weekly"\n'])
})

test('submit to a batch that was submitted whole is refused; --resubmit takes it', async (t) => {
  const { jobs, file, store } = await openFolder(t, [batchLine('a', 'x'), batchLine('b', 'x')])
  const batches = await openSqliteBatches(file)
  t.after(() => batches.close())
  await batches.open('nightly', 1)
  await batches.seal('nightly', 1, 1)
  const submit = (...more: string[]) => runHosted(['submit', jobs, '--batch', 'nightly', ...store, ...more])
  const { code, stdout, stderr } = await submit()
  assert.deepEqual([code, stdout], [1, ''])
  assert.match(
    stderr,
    /^promptbridge: batch "nightly" was submitted before, with 1 jobs\. A batch is submitted once\. /,
  )
  assert.partialDeepStrictEqual(await submit('--resubmit'), { code: 0, stderr: '' })
  assert.partialDeepStrictEqual(await batches.read('nightly'), { status: 'sealed', createdAt: 1, total: 2 })
})
