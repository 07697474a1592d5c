import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { measureUse, type Reading } from '../../shared/models/pacing/use-of-all.ts'

const LIMIT = 6_000
const T0 = 1_700_000_000_000

/** Measures from the last of several replies, each with what remains, the seconds to the reset, and when it was sent. */
function measured(
  ...replies: readonly (readonly [amount: number | undefined, resetSeconds: number | undefined, at: number])[]
) {
  let reading: Reading | undefined
  let last: ReturnType<typeof measureUse> = { reading }
  for (const [amount, resetSeconds, at] of replies) {
    last = measureUse(reading, { amount, resetSeconds, at: T0 + at }, LIMIT)
    reading = last.reading
  }
  return last.use
}

describe('the use of all instances', () => {
  test('is how what remains falls between two replies of a minute', () => {
    // 500 in 10 s are 3,000 a minute.
    assert.equal(measured([3_000, 40, 0], [2_500, 30, 10_000])?.share, 0.5)
  })

  test('is what the minute has lost so far at its first reply', () => {
    assert.equal(measured([3_000, 30, 0])?.share.toFixed(2), (0.5 / (30.5 / 60)).toFixed(2))
  })

  test('says how fast what remains may be used until the reset', () => {
    const { until = 0 } = measured([3_000, 40, 0], [1_000, 30, 10_000]) ?? {}
    assert.ok(until > 0.4 && until < 0.5, String(until))
  })

  test('is not measured over less than two seconds', () => {
    assert.equal(measured([3_000, 40, 0], [2_900, 39, 1_000]), undefined)
  })

  test('is measured without the time of a reset, as long as what remains falls', () => {
    assert.equal(measured([3_000, undefined, 0], [2_500, undefined, 10_000])?.share, 0.5)
    assert.equal(measured([3_000, undefined, 0], [3_500, undefined, 10_000]), undefined)
  })

  const faults: readonly (readonly [string, readonly [number | undefined, number | undefined, number]])[] = [
    ['names no amount', [undefined, 35, 5_000]],
    ['names 0', [0, 0, 5_000]],
    ['names more than the limit', [LIMIT + 1, 35, 5_000]],
    ['is older than the one before', [3_400, 47, 5_000]],
  ]
  for (const [fault, reply] of faults) {
    test(`is not measured from a reply that ${fault}`, () => {
      assert.equal(measured([3_000, 40, 0], reply), undefined)
    })
  }

  test('is measured again soon after a stale reply', () => {
    assert.equal(measured([3_000, 40, 0], [3_400, 47, 5_000], [2_700, 34, 6_000], [2_500, 30, 10_000])?.share, 0.5)
  })
})
