import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createTokenSpending, type TokenSpending } from '../../worker/limits/token-spending.ts'

const usage = (tokens: number) => ({ promptTokens: tokens, completionTokens: 0 })
/** What the sweep counted at an instant. */
const counted = (tokens: number, sweptAt: number) => ({ tokens: usage(tokens), sweptAt })

function readTotal(spending: TokenSpending, found?: ReturnType<typeof counted>): number {
  spending.beginRead()(found)
  return spending.total()
}

describe('the tokens that were spent', () => {
  test('are the prompt’s and the answer’s, and none at first', () => {
    const spending = createTokenSpending()
    assert.equal(spending.total(), 0)
    spending.spend({ promptTokens: 11, completionTokens: 7 })
    assert.equal(spending.total(), 18)
  })

  test('are this instance’s own alone while no sweep has counted any', () => {
    const spending = createTokenSpending()
    spending.spend(usage(5))
    assert.deepEqual([readTotal(spending), readTotal(spending)], [5, 5])
  })

  test('are what the sweep counted and what was settled here since', () => {
    const spending = createTokenSpending()
    assert.equal(readTotal(spending, counted(100, 1)), 100)
    spending.spend(usage(5))
    assert.equal(readTotal(spending, counted(100, 1)), 105)
    spending.spend(usage(6))
    assert.equal(spending.total(), 111)
  })

  test('are counted by a newer sweep, but for what it may not have seen', () => {
    const spending = createTokenSpending()
    readTotal(spending, counted(100, 1))
    spending.spend(usage(5))
    readTotal(spending, counted(100, 1))
    spending.spend(usage(6))
    assert.equal(readTotal(spending, counted(200, 2)), 206)
    spending.spend(usage(7))
    assert.equal(readTotal(spending, counted(200, 2)), 213)
    assert.equal(readTotal(spending, counted(300, 3)), 300)
  })

  test('that were settled while a figure was on its way are kept by the next one', () => {
    const spending = createTokenSpending()
    const learn = spending.beginRead()
    spending.spend(usage(5))
    learn(counted(100, 1))
    assert.equal(spending.total(), 105)
    assert.equal(readTotal(spending, counted(200, 2)), 205)
  })

  test('may be fewer by a newer sweep: records expire', () => {
    const spending = createTokenSpending()
    readTotal(spending, counted(100, 1))
    assert.equal(readTotal(spending, counted(60, 2)), 60)
  })

  test('of a read that failed are what they were, and the read counts for nothing', () => {
    const spending = createTokenSpending()
    readTotal(spending, counted(100, 1))
    spending.spend(usage(5))
    spending.beginRead()
    assert.equal(spending.total(), 105)
    assert.equal(readTotal(spending, counted(200, 2)), 205)
  })
})
