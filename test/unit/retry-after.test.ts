import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { readRetryAfter, spreadWait } from '../../shared/lib/retry-after.ts'

const NOW = Date.UTC(2026, 10, 24, 6)
const DAY_MS = 86_400_000
const read = (headers: Record<string, string>) => {
  const sent = new Headers(headers)
  return readRetryAfter((name) => sent.get(name), NOW)
}

const forms: readonly (readonly [what: string, headers: Record<string, string>, waitMs: number | undefined])[] = [
  ['no header', {}, undefined],
  ['retry-after-ms', { 'retry-after-ms': '250' }, 250],
  ['x-ms-retry-after-ms', { 'x-ms-retry-after-ms': '6000' }, 6_000],
  ['Retry-After in seconds', { 'retry-after': '6' }, 6_000],
  ['Retry-After in decimals of a second', { 'retry-after': '0.5' }, 500],
  ['a decimal without a digit before the point', { 'retry-after-ms': '.5' }, 1],
  ['a wait of 0', { 'retry-after': '0' }, 0],
  ['blanks around the number', { 'retry-after': ' 6\t' }, 6_000],
  ['all of them: the finest', { 'retry-after-ms': '250', 'x-ms-retry-after-ms': '500', 'retry-after': '1' }, 250],
  ['two of them: x-ms-retry-after-ms before seconds', { 'x-ms-retry-after-ms': '500', 'retry-after': '1' }, 500],
  ['an empty finer header: the next', { 'retry-after-ms': '', 'retry-after': '2' }, 2_000],
  [
    'a finer header of -1: the next',
    { 'retry-after-ms': '-1', 'x-ms-retry-after-ms': '-1', 'retry-after': '2' },
    2_000,
  ],
  ['a finer header in words: the next', { 'retry-after-ms': 'soon', 'retry-after': '2' }, 2_000],

  ['-1', { 'retry-after': '-1' }, undefined],
  ['words', { 'retry-after': 'soon' }, undefined],
  ['an empty value', { 'retry-after': '' }, undefined],
  ['NaN', { 'retry-after': 'NaN' }, undefined],
  ['Infinity', { 'retry-after': 'Infinity' }, undefined],
  ['an exponent', { 'retry-after': '1e3' }, undefined],
  ['hexadecimal', { 'retry-after': '0x10' }, undefined],
  ['a unit', { 'retry-after': '6s' }, undefined],
  ['a month: a day', { 'retry-after': '2592000' }, DAY_MS],
  ['more than a number holds: a day', { 'retry-after': '9'.repeat(99) }, DAY_MS],
  ['more digits than any number has', { 'retry-after': '9'.repeat(400) }, undefined],

  ['a date, from now', { 'retry-after': 'Tue, 24 Nov 2026 06:00:06 GMT' }, 6_000],
  ['a date in the form of RFC 850', { 'retry-after': 'Tuesday, 24-Nov-26 06:00:06 GMT' }, 6_000],
  ['a date in the form of asctime, which is UTC too', { 'retry-after': 'Tue Nov 24 06:00:06 2026' }, 6_000],
  ['a date in lower case', { 'retry-after': 'tue, 24 nov 2026 06:00:06 gmt' }, 6_000],
  ['a date that has passed: 0', { 'retry-after': 'Tue, 24 Nov 2026 05:59:59 GMT' }, 0],
  ['a date in a year: a day', { 'retry-after': 'Wed, 24 Nov 2027 06:00:00 GMT' }, DAY_MS],
  ['a date that no calendar has', { 'retry-after': 'Tue, 44 Nov 2026 06:00:06 GMT' }, undefined],
  ['a date of another form', { 'retry-after': '2026-11-24T06:00:06Z' }, undefined],
  ['words that the engine takes for a date', { 'retry-after': 'soon 1' }, undefined],
  [
    "a date, from the reply's own Date where its clock is another",
    { 'retry-after': 'Tue, 24 Nov 2026 06:10:06 GMT', date: 'Tue, 24 Nov 2026 06:10:00 GMT' },
    6_000,
  ],
  [
    'a date, from now where Date is of another day',
    { 'retry-after': 'Tue, 24 Nov 2026 06:00:06 GMT', date: 'Thu, 01 Jan 1970 00:00:00 GMT' },
    6_000,
  ],
  ['a date, from now where Date is garbage', { 'retry-after': 'Tue, 24 Nov 2026 06:00:06 GMT', date: 'today' }, 6_000],
  ['a number, whatever Date says', { 'retry-after': '6', date: 'Tue, 24 Nov 2026 07:00:00 GMT' }, 6_000],
]

describe('the time that a service asks to wait, from', () => {
  for (const [what, headers, waitMs] of forms) {
    test(`${what}: ${waitMs === undefined ? 'none' : `${waitMs} ms`}`, () => assert.equal(read(headers), waitMs))
  }

  test('any text: none, or whole milliseconds from 0 to a day', () => {
    const names = ['retry-after-ms', 'x-ms-retry-after-ms', 'retry-after', 'date'] as const
    const text = fc.oneof(
      fc.string(),
      fc.double().map(String),
      fc.date({ noInvalidDate: true }).map((d) => d.toUTCString()),
    )
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...names), text), fc.integer(), (headers, now) => {
        const waitMs = readRetryAfter((name) => headers[name], now)
        assert.ok(waitMs === undefined || (Number.isInteger(waitMs) && waitMs >= 0 && waitMs <= DAY_MS))
      }),
    )
  })
})

test('callers that wait equally long are spread over a fifth more, in whole milliseconds', () => {
  const waits = [0, 0.5, 1].map((jitter) => spreadWait(1_001, jitter))
  assert.deepEqual(waits, [1_001, 1_102, 1_202])
})
