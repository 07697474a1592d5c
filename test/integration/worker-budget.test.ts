import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { openSqliteDailyTokens } from '../../shared/stores/sqlite/sqlite-daily-tokens.ts'
import { startCloud } from '../support/stand-ins.ts'
import { startWorker, type TestWorker, watchClock } from '../support/worker.ts'
import { withBatches } from '../support/worker-batches.ts'

const DAY_MS = 86_400_000
const nightly = (id: string) => ({
  ...{ id, batch: 'nightly', url: '/v1/chat/completions' },
  body: { messages: [{ role: 'user', content: 'Bridges carry people over water, in all weathers.' }] },
})

const cloud = await startCloud()
after(() => cloud.close())

const limit = (worker: TestWorker, tokens: number) =>
  withBatches(worker, (batches) => batches.limitTokens('nightly', tokens, 1))

async function sweep({ url }: TestWorker): Promise<void> {
  assert.equal((await fetch(`${url}/sweep`, { method: 'POST' })).status, 200)
}

async function statusesOf(worker: TestWorker, ...ids: readonly string[]) {
  return Promise.all(ids.map(async (id) => (await worker.record(id, 'nightly'))?.status))
}

/** How many tokens one of these jobs takes. */
async function tokensOf(worker: TestWorker, id: string): Promise<number> {
  const record = await worker.record(id, 'nightly')
  assert.ok(record?.status === 'succeeded')
  return record.usage.promptTokens + record.usage.completionTokens
}

describe('a batch whose tokens are limited', () => {
  test('is asked until they are spent; what comes after is dead-lettered, and succeeds when it is replayed', async () => {
    await using worker = await startWorker(cloud)
    await limit(worker, 1_000_000)
    assert.deepEqual(await worker.push(nightly('doc-1')), { status: 204 })
    const each = await tokensOf(worker, 'doc-1')
    // Another instance asks what is left: this one knows its own job alone, until it reads what a sweep counted.
    await using other = await startWorker(cloud, { settings: { STORE: `sqlite:${worker.file}` } })
    assert.deepEqual(await other.push(nightly('doc-2')), { status: 204 })
    await limit(worker, 2 * each)
    await sweep(other)
    await using third = await startWorker(cloud, { settings: { STORE: `sqlite:${worker.file}` } })
    assert.deepEqual(await third.push(nightly('doc-3')), { status: 204 })
    assert.equal((await worker.modelCalls()).length, 2)
    assert.deepEqual(await statusesOf(worker, 'doc-1', 'doc-2', 'doc-3'), ['succeeded', 'succeeded', 'dead_lettered'])
    const record = await worker.record('doc-3', 'nightly')
    assert.ok(record?.status === 'dead_lettered')
    assert.deepEqual([record.attempts, record.error.kind, record.error.code], [[], 'budget', 'batch_token_limit'])
    assert.equal(record.error.message, `its batch has taken ${2 * each} tokens; its limit is ${2 * each}`)
    const [letter] = await worker.deadLetters()
    assert.deepEqual([letter?.attributes['pb-reason'], letter?.attributes['pb-code']], ['budget', 'batch_token_limit'])

    // At once: the instance that has just read the old limit reads the new one before it ends a job by it.
    await limit(worker, 3 * each)
    assert.deepEqual(await third.push(nightly('doc-3'), { attributes: { 'pb-run': '2' } }), { status: 204 })
    assert.deepEqual([await statusesOf(worker, 'doc-3'), (await worker.modelCalls()).length], [['succeeded'], 3])
    assert.deepEqual(await third.push(nightly('doc-4')), { status: 204 })
    assert.deepEqual([await statusesOf(worker, 'doc-4'), (await worker.modelCalls()).length], [['dead_lettered'], 3])
  })

  test('is counted while it is open, and a replay with another limit has it counted again', async () => {
    await using worker = await startWorker(cloud)
    await limit(worker, 1)
    for (const id of ['doc-1', 'doc-2']) assert.deepEqual(await worker.push(nightly(id)), { status: 204 })
    await sweep(worker)
    const open = await withBatches(worker, (batches) => batches.read('nightly'))
    assert.partialDeepStrictEqual(open, { status: 'open', counts: { succeeded: 1, dead_lettered: 1 } })
    await withBatches(worker, (batches) => batches.seal('nightly', 2, Date.now()))
    await sweep(worker)
    assert.equal((await withBatches(worker, (batches) => batches.read('nightly')))?.status, 'completed')
    await limit(worker, 1_000_000)
    await worker.push(nightly('doc-2'), { attributes: { 'pb-run': '2' } })
    await sweep(worker)
    const batch = await withBatches(worker, (batches) => batches.read('nightly'))
    assert.partialDeepStrictEqual(batch, { status: 'completed', counts: { succeeded: 2 } })
  })

  test('leaves the jobs of other batches, and of none, alone', async () => {
    await using worker = await startWorker(cloud)
    await limit(worker, 1)
    await worker.push(nightly('doc-1'))
    for (const batch of ['daily', undefined]) {
      assert.deepEqual(await worker.push({ ...nightly('doc-2'), batch }), { status: 204 })
    }
    assert.deepEqual([(await worker.modelCalls()).length, await worker.deadLetters()], [3, []])
  })
})

describe('a day whose tokens are limited', () => {
  test('has jobs deferred when they are spent, without a record, and goes on with the next day', async () => {
    const { clock, now } = watchClock()
    // Noon, so that the day ends when the test says.
    clock.aheadMs = 1.5 * DAY_MS - (Date.now() % DAY_MS)
    const dependencies = { dependencies: { now }, settings: { DAILY_TOKEN_LIMIT: '1' } }
    await using worker = await startWorker(cloud, dependencies)
    assert.deepEqual(await worker.push(nightly('doc-1')), { status: 204 })
    assert.deepEqual(await worker.push(nightly('doc-2')), { status: 503, reason: 'budget' })
    assert.deepEqual(await worker.push(nightly('doc-2')), { status: 503, reason: 'budget' })
    assert.deepEqual([await worker.record('doc-2', 'nightly'), await worker.deadLetters()], [undefined, []])
    assert.equal((await worker.modelCalls()).length, 1)
    assert.equal(worker.logText().match(/day_closed/g)?.length, 1)

    clock.aheadMs += DAY_MS / 2
    assert.deepEqual(await worker.push(nightly('doc-2')), { status: 204 })
    assert.deepEqual(await statusesOf(worker, 'doc-2'), ['succeeded'])
  })

  test('is known to an instance that asked nothing, once it is swept', async () => {
    const settings = { DAILY_TOKEN_LIMIT: '1' }
    await using worker = await startWorker(cloud, { settings })
    await worker.push(nightly('doc-1'))
    await sweep(worker)
    const days = await openSqliteDailyTokens(worker.file)
    const record = await worker.record('doc-1', 'nightly')
    assert.ok(record?.status === 'succeeded')
    const day = new Date(record.settledAt).toISOString().slice(0, 10)
    assert.deepEqual((await days.read(day))?.tokens, record.usage)
    days.close()
    await using other = await startWorker(cloud, { settings: { ...settings, STORE: `sqlite:${worker.file}` } })
    assert.deepEqual(await other.push(nightly('doc-2')), { status: 503, reason: 'budget' })
  })

  test('that has no limit is not counted', async () => {
    await using worker = await startWorker(cloud)
    await worker.push(nightly('doc-1'))
    await sweep(worker)
    const record = await worker.record('doc-1', 'nightly')
    assert.ok(record?.status === 'succeeded')
    const days = await openSqliteDailyTokens(worker.file)
    assert.equal(await days.read(new Date(record.settledAt).toISOString().slice(0, 10)), undefined)
    days.close()
  })
})
