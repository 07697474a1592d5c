import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { startPubSubPush } from '../../local/pubsub-push/pubsub-push.ts'
import { openQueueReport } from '../../shared/queue/sqlite/queue-report.ts'
import type { BatchStore } from '../../shared/store/batch-store.ts'
import { openSqliteBatches } from '../../shared/store/sqlite/sqlite-batches.ts'
import { startCloud } from '../stand-ins.ts'
import { startWorker } from '../worker.ts'
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
  assert.deepEqual(submitted, { code: 0, stdout: '3 jobs published\n', stderr: '' })

  await using cloud = await startCloud()
  await using worker = await startWorker(cloud, { settings: { STORE: `sqlite:${file}` } })
  const subscription = { name: 'projects/p/subscriptions/s', topic: TOPIC, endpoint: `${worker.url}/push` }
  const push = await startPubSubPush({ file, subscriptions: [subscription] })
  t.after(() => push.close())
  await until(async () => (await push.status()).every(({ acked }) => acked === 3), 'not all jobs are acknowledged')

  const { code, stdout } = await runCommand(t, ['results', 'nightly', ...store])
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

test('a batch is sealed with the number of jobs it has: an id that is repeated is one', async (t) => {
  const { jobs, file, store } = await openFolder(t, [batchLine('a', 'x'), batchLine('b', 'x'), batchLine('a', 'x')])
  const { stdout } = await runCommand(t, ['submit', jobs, '--batch', 'nightly', ...store, '--json'])
  assert.deepEqual(JSON.parse(stdout), { batch: 'nightly', published: 3, repeated: 1, refused: 0 })
  const batches = await openSqliteBatches(file)
  const latest = await batches.latest()
  batches.close()
  assert.partialDeepStrictEqual(latest, { status: 'sealed', name: 'nightly', total: 2 })
})

test('a line that is no job is told by its number, the others are published, and the exit code is 1', async (t) => {
  const { jobs, file, store } = await openFolder(t, [
    batchLine('a', 'x'),
    '{"custom_id": 7}',
    batchLine('b', 'x'),
    'no',
  ])
  const { code, stdout, stderr } = await runCommand(t, ['submit', jobs, ...store])
  assert.deepEqual([code, stdout], [1, '2 jobs published, 2 lines refused\n'])
  assert.match(stderr, /^line 2: custom_id: .*\nline 4: the data is not JSON\n$/)
  const report = await openQueueReport(file)
  const { published } = await report.counts(TOPIC, Date.now())
  report.close()
  assert.equal(published, 2)
})

test('a file that is not there is told, and nothing is published', async (t) => {
  const { folder, store } = await openFolder(t, [])
  const { code, stderr } = await runCommand(t, ['submit', join(folder, 'nowhere.jsonl'), ...store])
  assert.equal(code, 1)
  assert.match(stderr, /no such file or directory/)
})

test('results of a batch that nobody submitted say so', async (t) => {
  const { jobs, store } = await openFolder(t, [batchLine('a', 'x')])
  await runCommand(t, ['submit', jobs, '--batch', 'nightly', ...store])
  const { code, stderr } = await runCommand(t, ['results', 'weekly', ...store])
  assert.deepEqual([code, stderr], [1, 'promptbridge: no job of batch "weekly" has a record\n'])
})

/** A file of two jobs, and batch "nightly" as the test makes it before they are submitted. */
async function openBatch(t: TestContext, prepare: (batches: BatchStore) => Promise<void>) {
  const { jobs, file, store } = await openFolder(t, [batchLine('a', 'x'), batchLine('b', 'x')])
  const batches = await openSqliteBatches(file)
  t.after(() => batches.close())
  await prepare(batches)
  return {
    submit: (...more: string[]) => runCommand(t, ['submit', jobs, '--batch', 'nightly', ...store, ...more]),
    batch: () => batches.read('nightly'),
    async published() {
      const report = await openQueueReport(file)
      const { published } = await report.counts(TOPIC, Date.now())
      report.close()
      return published
    },
  }
}

async function sealed(batches: BatchStore, total: number): Promise<void> {
  await batches.open('nightly', 1)
  await batches.seal('nightly', total)
}

for (const status of ['sealed', 'completed'] as const) {
  test(`submit to a batch that is ${status} is refused before anything is published`, async (t) => {
    const { submit, batch, published } = await openBatch(t, async (batches) => {
      await sealed(batches, 5)
      if (status === 'completed') await batches.complete('nightly', 2)
    })
    const before = await batch()
    assert.equal(before?.status, status)
    const { code, stdout, stderr } = await submit('--token-limit', '7')
    assert.deepEqual([code, stdout], [1, ''])
    assert.match(stderr, /^promptbridge: batch "nightly" was submitted before, with 5 jobs: one batch is one file\. /)
    assert.match(stderr, /Use another name for other jobs, or pass --again to send the same file once more/)
    assert.deepEqual([await batch(), await published()], [before, 0])
  })
}

test('submit --again publishes once more; the total of the batch never shrinks, and it stays completed', async (t) => {
  const { submit, batch, published } = await openBatch(t, async (batches) => {
    await sealed(batches, 5)
    await batches.complete('nightly', 2)
  })
  assert.deepEqual(await submit('--again'), { code: 0, stdout: '2 jobs published\n', stderr: '' })
  assert.equal(await published(), 2)
  const completed = { status: 'completed', name: 'nightly', createdAt: 1, total: 5, completedAt: 2 }
  assert.deepEqual(await batch(), completed)
})

test('submit --again with more jobs than before makes the batch larger, and it goes on', async (t) => {
  const { submit, batch } = await openBatch(t, async (batches) => {
    await sealed(batches, 1)
    await batches.complete('nightly', 2)
  })
  await submit('--again')
  assert.deepEqual(await batch(), { status: 'sealed', name: 'nightly', createdAt: 1, total: 2 })
})

test('submit to a batch that a submit left open goes on', async (t) => {
  const { submit, batch } = await openBatch(t, (batches) => batches.open('nightly', 1))
  assert.equal((await submit()).code, 0)
  assert.deepEqual(await batch(), { status: 'sealed', name: 'nightly', createdAt: 1, total: 2 })
})

for (const more of [[], ['--again']]) {
  test(`submit ${more.join('')} to a batch that is cancelled is refused`, async (t) => {
    const { submit, published } = await openBatch(t, (batches) => batches.cancel('nightly', 1))
    const { code, stderr } = await submit(...more)
    const problem = 'batch "nightly" is cancelled, and so would these jobs be when they come: use another name'
    assert.deepEqual([code, stderr, await published()], [1, `promptbridge: ${problem}\n`, 0])
  })
}

test('submit --token-limit limits the batch', async (t) => {
  const { submit, batch } = await openBatch(t, async () => undefined)
  assert.equal((await submit('--token-limit', '2000000')).code, 0)
  assert.partialDeepStrictEqual(await batch(), { status: 'sealed', total: 2, tokenLimit: 2_000_000 })
})

for (const option of [['--token-limit', '5'], ['--again']]) {
  test(`submit ${option[0]} without a batch is misuse`, async (t) => {
    const { jobs, store } = await openFolder(t, [batchLine('a', 'x')])
    const { code, stderr } = await runCommand(t, ['submit', jobs, ...store, ...option])
    assert.deepEqual([code, stderr], [2, `error: ${option[0]} is about a batch: name it with --batch\n`])
  })
}
