import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { parsePrices } from '../../shared/job/price-table.ts'
import { aStoreOf } from '../support/cli-store.ts'
import { aSucceededRecord } from '../support/job-builders.ts'
import { runHosted } from '../support/run-hosted.ts'
import { aTemporaryFile } from '../support/temporary-file.ts'

const entry = { model: 'gpt-4o', from: '2026-01-01', input: 1_000, output: 0, source: 'a list', asOf: '2026-02-02' }

test('prices: what --json prints is a valid PRICES_FILE', async () => {
  const { code, stdout, stderr } = await runHosted(['prices', '--json'])
  assert.deepEqual([code, stderr], [0, ''])
  assert.equal(parsePrices(JSON.parse(stdout)).ok, true)
  assert.match((await runHosted(['prices', '--quiet'])).stdout, /^model .+\ngpt-4\.1 .+ 2 +0\.5 +– +8 /)
})

test('prices: a PRICES_FILE counts in show, and a wrong one is misuse that names each problem', async (t) => {
  const file = await aTemporaryFile(t, 'prices.json')
  const env = { PRICES_FILE: file }
  const store = await aStoreOf(t, aSucceededRecord)
  const show = ['show', 'doc-7', '--batch', 'nightly', '--json', '--store', `sqlite:${store}`]
  await writeFile(file, JSON.stringify({ prices: [entry] }))
  assert.deepEqual(JSON.parse((await runHosted(show, { env })).stdout).cost, { usd: 0.011, asOf: '2026-02-02' })

  for (const [text, problem] of [
    ['{', /PRICES_FILE: .+ is not JSON/],
    [JSON.stringify({ prices: [entry, entry] }), /PRICES_FILE: gpt-4o: the price from 2026-01-01 has not ended/],
  ] as const) {
    await writeFile(file, text)
    const { code, stdout, stderr } = await runHosted(['prices'], { env })
    assert.deepEqual([code, stdout], [2, ''])
    assert.match(stderr, problem)
  }
  assert.match((await runHosted(['prices'], { env: { PRICES_FILE: '/nowhere.json' } })).stderr, /cannot be read/)
})
