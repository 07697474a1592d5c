import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { BatchLine } from '../../cli/demo/demo-jobs.ts'
import { type DemoState, openDemoState } from '../../cli/demo/demo-state.ts'
import { submit } from '../../cli/demo/submit.ts'
import { openQueueReport } from '../../shared/queues/sqlite/queue-report.ts'
import { openSqliteQueue } from '../../shared/queues/sqlite/sqlite-queue.ts'
import { START } from '../support/job-builders.ts'

const LATER = START + 60_000
const LINE = { custom_id: 'doc', method: 'POST', url: '/v1/chat/completions', body: {}, metadata: {} } as const

async function newFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'demo-'))
  t.after(() => rm(folder, { recursive: true }))
  return folder
}

async function published(file: string): Promise<number> {
  const report = await openQueueReport(file)
  const { published } = await report.counts('jobs', LATER)
  report.close()
  return published
}

async function submitTo(state: DemoState, lines: readonly BatchLine[]): Promise<number> {
  const queue = await openSqliteQueue(state.file, Date.now)
  try {
    return await submit(state, queue, 'jobs', lines)
  } finally {
    await queue.close()
  }
}

test('a new folder begins a batch that is named for the time', async (t) => {
  using state = await openDemoState(join(await newFolder(t), 'deep/down'), START)
  assert.deepEqual(state.batch, { status: 'open', name: 'demo-2026-11-24T06.00.00', createdAt: START })
  assert.equal(state.goesOn, false)
})

test('a batch that was submitted whole goes on, and nothing of it is published again', async (t) => {
  const folder = await newFolder(t)
  const before = await openDemoState(folder, START)
  assert.equal(await submitTo(before, [LINE, LINE]), 2)
  before[Symbol.dispose]()

  using after = await openDemoState(folder, LATER)
  assert.equal(after.goesOn, true)
  assert.partialDeepStrictEqual(after.batch, { ...before.batch, status: 'sealed', total: 2 })
  assert.equal(await submitTo(after, [LINE]), 2)
  assert.equal(await published(after.file), 2)
})

test('a batch that was submitted in part is started again, without the jobs that were published', async (t) => {
  const folder = await newFolder(t)
  const before = await openDemoState(folder, START)
  const queue = await openSqliteQueue(before.file, Date.now)
  await queue.publish('jobs', { data: Buffer.from('of other documents'), attributes: { batch: before.batch.name } })
  await queue.close()
  before[Symbol.dispose]()

  using after = await openDemoState(folder, LATER)
  assert.equal(after.goesOn, false)
  assert.equal(after.batch.name, 'demo-2026-11-24T06.01.00')
  assert.equal(await submitTo(after, [LINE]), 1)
  assert.equal(await published(after.file), 1)
})

test('a finished batch is followed by a new one in an empty file', async (t) => {
  const folder = await newFolder(t)
  const before = await openDemoState(folder, START)
  await submitTo(before, [LINE])
  await before.batches.end(before.batch.name, { as: 'completed', total: 1, at: START })
  before[Symbol.dispose]()

  using after = await openDemoState(folder, LATER)
  assert.deepEqual([before.replaces, after.goesOn, after.replaces], [undefined, false, before.batch.name])
  assert.equal(await published(after.file), 0)
})

test('a folder belongs to one demo at a time', async (t) => {
  const folder = await newFolder(t)
  const first = await openDemoState(folder, START)
  await assert.rejects(openDemoState(folder, LATER), {
    message: `another demo runs in ${folder}; wait for its end, or use another folder`,
  })
  first[Symbol.dispose]()
  using next = await openDemoState(folder, LATER)
  assert.equal(next.goesOn, false)
})
