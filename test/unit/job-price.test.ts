import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { costOfRecord, estimateCost, formatUsd, sumCosts } from '../../shared/job/price.ts'
import { parsePrices, withOwnPrices } from '../../shared/job/price-table.ts'
import { aDeadLetteredRecord, aSucceededRecord } from '../support/job-builders.ts'

const anEntry = (over: object = {}) => ({
  ...{ model: 'M', from: '2026-01-01', input: 4, output: 20, source: 'a list', asOf: '2026-02-02' },
  ...over,
})

function pricesOf(...entries: readonly object[]) {
  const parsed = parsePrices({ prices: entries })
  assert.ok(parsed.ok, JSON.stringify(parsed))
  return parsed.prices
}

function problemsOf(value: unknown): readonly string[] {
  const parsed = parsePrices(value)
  return parsed.ok ? [] : parsed.problems
}

const at = Date.UTC(2026, 5, 1)
const usage = { promptTokens: 1_000_000, completionTokens: 100_000 }
const usdOf = (entry: object, over: object = {}) =>
  estimateCost(pricesOf(anEntry(entry)), { model: 'm', at, usage, ...over })?.usd

describe('the cost of tokens', () => {
  test('is input and output at the prices of the model, with the date of the prices', () => {
    assert.deepEqual(estimateCost(pricesOf(anEntry()), { model: 'm', at, usage }), { usd: 6, asOf: '2026-02-02' })
  })

  test('cached and newly cached tokens have their own prices, or the price of input', () => {
    const used = { usage: { ...usage, cachedTokens: 500_000, cacheWriteTokens: 250_000 } }
    assert.equal(usdOf({ cached: 0.4, cacheWrite: 5 }, used), 1 + 0.2 + 1.25 + 2)
    assert.equal(usdOf({}, used), 6)
    assert.equal(usdOf({}, { usage: { ...usage, cachedTokens: 2_000_000 } }), 10)
  })

  test('a request with more input than the threshold pays the factors of long context, not one at the threshold', () => {
    const long = (above: number) => ({ longContext: { above, input: 2, output: 1.5 } })
    assert.equal(usdOf(long(999_999)), 8 + 3)
    assert.equal(usdOf(long(1_000_000)), 6)
  })

  test('a sum over many short requests is no long context', () => {
    assert.equal(usdOf({ longContext: { above: 272_000, input: 2, output: 1.5 } }, { requests: 1_000 }), 6)
  })

  test('is not known for another model, nor outside of the times of the prices', () => {
    const prices = pricesOf(anEntry({ until: '2026-06-01' }))
    assert.equal(estimateCost(prices, { model: 'm', at: at - 1, usage })?.usd, 6)
    assert.equal(estimateCost(prices, { model: 'm', at, usage }), undefined)
    assert.equal(estimateCost(prices, { model: 'm', at: Date.UTC(2025, 11, 31), usage }), undefined)
    for (const model of ['other', undefined])
      assert.equal(estimateCost(prices, { model, at: at - 1, usage }), undefined)
  })

  test('a version of a model has the price of the model, unless it has its own', () => {
    const prices = pricesOf(anEntry(), anEntry({ model: 'm-2024-05-13', input: 5 }))
    assert.equal(estimateCost(prices, { model: 'm-2026-03-05', at, usage })?.usd, 6)
    assert.equal(estimateCost(prices, { model: 'm-2024-05-13', at, usage })?.usd, 7)
    assert.equal(estimateCost(prices, { model: 'm-mini', at, usage }), undefined)
  })
})

describe('the cost of a job', () => {
  const prices = pricesOf(anEntry(), anEntry({ model: 'asked', input: 1 }), anEntry({ model: 'gpt-4o-eu', input: 2 }))
  const [attempt] = aSucceededRecord.attempts
  assert.ok(attempt)
  const usdFor = (over: object, model?: string) =>
    costOfRecord(prices, { ...aSucceededRecord, model, attempts: [{ ...attempt, usage, ...over }] })?.usd

  test('is at the price of the model that answered, else of the one asked for, else of the deployment by name', () => {
    assert.equal(usdFor({ model: 'M-2026-03-05' }, 'asked'), 6)
    assert.equal(usdFor({ model: 'fine-tuned' }, 'asked'), 3)
    assert.equal(usdFor({}, 'quick'), 4)
    assert.equal(usdFor({ deployment: 'free' }), undefined)
  })

  test('has all attempts whose usage is known, also those of a dead letter', () => {
    const attempts = [
      { ...attempt, model: 'm', usage },
      { ...attempt, usage: undefined },
      { ...attempt, model: 'm', usage },
    ]
    assert.equal(costOfRecord(prices, aDeadLetteredRecord({ attempts }))?.usd, 12)
    assert.equal(costOfRecord(prices, aDeadLetteredRecord()), undefined)
  })

  test('is not known if one of its prices is not', () => {
    const known = { usd: 1, asOf: '2026-02-02' }
    assert.deepEqual(sumCosts([known, { usd: 2, asOf: '2026-01-01' }]), { usd: 3, asOf: '2026-01-01' })
    assert.equal(sumCosts([known, undefined]), undefined)
    assert.equal(sumCosts([]), undefined)
  })
})

test('an amount in dollars has cents, or two digits where it is small', () => {
  const amounts = [0, 0.0000975, 0.0999, 0.1, 1.234, 12_345.6].map(formatUsd)
  assert.deepEqual(amounts, ['$0.00', '$0.000098', '$0.10', '$0.10', '$1.23', '$12,345.60'])
})

describe('a table of prices', () => {
  test('the built-in one is valid, and each price has a source', () => {
    const prices = [...withOwnPrices().values()].flat()
    assert.ok(prices.length > 20)
    for (const { source, model } of prices) assert.ok(URL.canParse(source), model)
  })

  test('prices of one model that overlap are a problem; one may begin on the day on which another ends', () => {
    const [first, next] = [anEntry({ until: '2026-03-01' }), anEntry({ from: '2026-03-01', model: 'm' })]
    assert.deepEqual(problemsOf({ prices: [next, first] }), [])
    const overlap = ['m: the price from 2026-01-01 has not ended on 2026-02-28, when the next one begins']
    assert.deepEqual(problemsOf({ prices: [first, { ...next, from: '2026-02-28' }] }), overlap)
    assert.equal(problemsOf({ prices: [anEntry(), anEntry()] }).length, 1)
  })

  test('each wrong field is named with its place', () => {
    const wrong = anEntry({ from: '2026-02-30', until: '2026', input: -1, typo: 1, source: undefined })
    const problems = problemsOf({ prices: [anEntry(), wrong] })
    for (const field of ['from', 'until', 'input', 'source']) {
      assert.ok(
        problems.some((problem) => problem.startsWith(`prices.1.${field}: `)),
        field,
      )
    }
    assert.ok(problems.some((problem) => problem.includes('typo')))
    assert.deepEqual(problemsOf({ prices: [anEntry({ until: '2026-01-01' })] }), ['prices.0.until: must be after from'])
    for (const value of [undefined, null, [], { prices: [] }]) assert.equal(problemsOf(value).length, 1)
  })

  test('own prices replace all prices of their models, and the others stay', () => {
    const prices = withOwnPrices(pricesOf(anEntry({ model: 'GPT-5.6-sol' })))
    const now = { at: Date.UTC(2026, 9, 1), usage }
    assert.equal(estimateCost(prices, { model: 'gpt-5.6-sol', ...now })?.usd, 6)
    assert.equal(estimateCost(prices, { model: 'gpt-4o', ...now })?.usd, 3.5)
  })
})
