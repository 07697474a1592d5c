import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import { moveClock } from './token/move-clock.ts'

const RealDate = Date
const HOUR = 3_600_000

describe('a clock that is moved', () => {
  afterEach(() => moveClock(0))

  for (const [how, read] of [
    ['Date.now()', () => Date.now()],
    ['new Date()', () => Date.parse(new Date().toISOString())],
  ] as const) {
    test(`is ahead for ${how}, and goes on`, () => {
      moveClock(HOUR)
      const before = RealDate.now() + HOUR
      const seen = read()
      assert.ok(before <= seen && seen <= RealDate.now() + HOUR, `${seen - before}`)
    })
  }

  test('leaves a date alone that is given', () => {
    moveClock(HOUR)
    const given = new Date(2026, 10, 24)
    assert.ok(given instanceof RealDate && given instanceof Date)
    assert.deepEqual([given.getDate(), new Date(7).getTime(), Date.UTC(1970, 0, 1, 1)], [24, 7, HOUR])
  })

  test('is the real one again at 0', () => {
    moveClock(HOUR)
    moveClock(0)
    assert.equal(Date, RealDate)
  })
})
