import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openSqliteDailyTokens } from '../../shared/stores/sqlite/sqlite-daily-tokens.ts'
import { DONE, deferred, JOB, onWorker } from '../support/on-worker.ts'
import type { TestWorker } from '../support/worker.ts'
import { withBatches } from '../support/worker-batches.ts'

const DAY_MS = 86_400_000
const nightly = (id: string) => ({ ...JOB, id, batch: 'nightly' })

const limit = (worker: TestWorker, tokens: number) =>
  withBatches(worker, (batches) => batches.limitTokens('nightly', tokens, 1))

async function sweep({ url }: TestWorker): Promise<void> {
  assert.equal((await fetch(`${url}/sweep`, { method: 'POST' })).status, 200)
}

async function statusesOf(worker: TestWorker, ...ids: readonly string[]) {
  return Promise.all(ids.map(async (id) => (await worker.record(id, 'nightly'))?.status))
}

async function succeeded(worker: TestWorker, id: string) {
  const record = await worker.record(id, 'nightly')
  assert.ok(record?.status === 'succeeded')
  return record
}

async function tokensOfDay({ file }: TestWorker, at: number) {
  const days = await openSqliteDailyTokens(file)
  const day = await days.read(new Date(at).toISOString().slice(0, 10))
  days.close()
  return day?.tokens
}

describe('a batch whose tokens are limited', () => {
  test('is asked until they are spent; what comes after is dead-lettered, and succeeds when it is replayed', () =>
    onWorker({}, async (worker) => {
      await limit(worker, 1_000_000)
      assert.deepEqual(await worker.push(nightly('doc-1')), DONE)
      const { usage } = await succeeded(worker, 'doc-1')
      const each = usage.promptTokens + usage.completionTokens
      // Another instance asks what is left: this one knows its own job alone, until it reads what a sweep counted.
      await using other = await worker.another()
      assert.deepEqual(await other.push(nightly('doc-2')), DONE)
      await limit(worker, 2 * each)
      await sweep(other)
      await using third = await worker.another()
      assert.deepEqual(await third.push(nightly('doc-3')), DONE)
      assert.equal((await worker.modelCalls()).length, 2)
      assert.deepEqual(await statusesOf(worker, 'doc-1', 'doc-2', 'doc-3'), ['succeeded', 'succeeded', 'dead_lettered'])
      const record = await worker.record('doc-3', 'nightly')
      assert.ok(record?.status === 'dead_lettered')
      assert.deepEqual([record.attempts, record.error.kind, record.error.code], [[], 'budget', 'batch_token_limit'])
      assert.equal(record.error.message, `its batch has taken ${2 * each} tokens; its limit is ${2 * each}`)
      const [letter] = await worker.deadLetters()
      const why = [letter?.attributes['pb-reason'], letter?.attributes['pb-code']]
      assert.deepEqual(why, ['budget', 'batch_token_limit'])

      // At once: the instance that has just read the old limit reads the new one before it ends a job by it.
      await limit(worker, 3 * each)
      assert.deepEqual(await third.push(nightly('doc-3'), { attributes: { 'pb-run': '2' } }), DONE)
      assert.deepEqual([await statusesOf(worker, 'doc-3'), (await worker.modelCalls()).length], [['succeeded'], 3])
      assert.deepEqual(await third.push(nightly('doc-4')), DONE)
      assert.deepEqual([await statusesOf(worker, 'doc-4'), (await worker.modelCalls()).length], [['dead_lettered'], 3])
    }))
})

describe('a day whose tokens are limited', () => {
  test('has jobs deferred when they are spent, without a record, and goes on with the next day', () =>
    onWorker({ DAILY_TOKEN_LIMIT: '1' }, async (worker) => {
      // Noon, so that the day ends when the test says.
      worker.clock.aheadMs = 1.5 * DAY_MS - (Date.now() % DAY_MS)
      assert.deepEqual(await worker.push(nightly('doc-1')), DONE)
      for (let n = 0; n < 2; n += 1) assert.deepEqual(await worker.push(nightly('doc-2')), deferred('budget'))
      assert.deepEqual([await worker.record('doc-2', 'nightly'), await worker.deadLetters()], [undefined, []])
      assert.equal((await worker.modelCalls()).length, 1)
      assert.equal(worker.logText().match(/day_closed/g)?.length, 1)

      worker.clock.aheadMs += DAY_MS / 2
      assert.deepEqual(await worker.push(nightly('doc-2')), DONE)
      assert.deepEqual(await statusesOf(worker, 'doc-2'), ['succeeded'])
    }))

  test('that has no limit is not counted', () =>
    onWorker({}, async (worker) => {
      await worker.push(nightly('doc-1'))
      const { settledAt } = await succeeded(worker, 'doc-1')
      await sweep(worker)
      assert.equal(await tokensOfDay(worker, settledAt), undefined)
    }))
})
