import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidArgumentError } from 'commander'
import { duration, tokenNumber, wholeNumber } from '../../cli/option-values.ts'

test('a duration is a number of seconds, minutes, hours or days', () => {
  assert.deepEqual(duration('90s'), { text: '90s', ms: 90_000 })
  assert.deepEqual(duration('1m'), { text: '1m', ms: 60_000 })
  assert.deepEqual(duration('24h'), { text: '24h', ms: 86_400_000 })
  assert.deepEqual(duration('7d'), { text: '7d', ms: 604_800_000 })
  assert.deepEqual(duration('99999d'), { text: '99999d', ms: 8_639_913_600_000 })
})

for (const text of ['', '0h', '24', 'h', '24 h', '24H', '1h30m', '-1h', '1.5h', '1e3m', '2w', '100000m', '１h']) {
  test(`"${text}" is no duration, and the error shows what is one`, () => {
    const message = 'It must be seconds, minutes, hours or days, such as 90s, 30m, 24h or 7d.'
    assert.throws(() => duration(text), new InvalidArgumentError(message))
  })
}

test('a whole number has up to six digits and begins with none that is 0', () => {
  assert.deepEqual(['1', '20', '999999'].map(wholeNumber), [1, 20, 999_999])
  for (const text of ['', '0', '07', '-1', '1.5', '1e3', '1000000', 'ten']) {
    assert.throws(() => wholeNumber(text), InvalidArgumentError, text)
  }
})

test('a number of tokens has up to fifteen digits and begins with none that is 0', () => {
  assert.deepEqual(['1', '2000000', '999999999999999'].map(tokenNumber), [1, 2_000_000, 999_999_999_999_999])
  for (const text of ['', '0', '07', '-1', '1.5', '1e6', '2M', '1000000000000000']) {
    assert.throws(() => tokenNumber(text), InvalidArgumentError, text)
  }
})
