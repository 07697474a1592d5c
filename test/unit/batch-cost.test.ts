import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JobRecord } from '../../shared/job/record.ts'
import { readBatchCost } from '../../shared/stores/batch-cost.ts'
import { aRunningRecord, aSucceededRecord } from '../support/job-builders.ts'

const PRICE = { model: 'gpt-4o', from: 0, until: Infinity, input: 2, output: 10, source: 's', asOf: '2026-11-27' }
const PRICES = new Map([['gpt-4o', [PRICE]]])

/** A job that used a million tokens. */
function aJobOf(model: string): JobRecord {
  assert.ok(aSucceededRecord.status === 'succeeded')
  const usage = { promptTokens: 1_000_000, completionTokens: 0 }
  const attempts = aSucceededRecord.attempts.map((attempt) => ({ ...attempt, usage }))
  return { ...aSucceededRecord, model, usage, attempts }
}

function costOf(records: readonly JobRecord[], promptTokens: number) {
  let read = 0
  async function* list() {
    for (const record of records) {
      read += 1
      yield { record }
    }
  }
  const progress = { name: 'nightly', tokens: { promptTokens, completionTokens: 0 } }
  return readBatchCost({ list }, progress, PRICES).then((cost) => ({ cost, read }))
}

test('cost: that of a small batch is the sum of its jobs', async () => {
  const records = [aRunningRecord(), aJobOf('gpt-4o'), aJobOf('gpt-4o')]
  assert.deepEqual((await costOf(records, 2_000_000)).cost, { usd: 4, asOf: '2026-11-27' })
})

test('cost: that of a large batch is estimated from some of its jobs, by the tokens of all', async () => {
  const records = Array.from({ length: 1_000 }, () => aJobOf('gpt-4o'))
  const { cost, read } = await costOf(records, 1_000_000_000)
  assert.deepEqual([cost, read], [{ usd: 2_000, asOf: '2026-11-27', fromJobs: 200 }, 200])
})

test('cost: it is not known where a price is missing, or where nothing was used', async () => {
  assert.equal((await costOf([aJobOf('gpt-4o'), aJobOf('ours')], 2_000_000)).cost, undefined)
  assert.equal((await costOf([aRunningRecord()], 0)).cost, undefined)
})
