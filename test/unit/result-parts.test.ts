import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StoreError } from '../../shared/stores/job-store.ts'
import {
  cutIntoParts,
  describeParts,
  fitsIntoRecord,
  joinParts,
  MAX_RESULT_BYTES,
} from '../../shared/stores/result-parts.ts'

const bytes = (text: string) => Buffer.byteLength(text)

test('a result of 900 KiB fits into its record, and one byte more does not', () => {
  assert.equal(MAX_RESULT_BYTES, 900 * 1024)
  assert.equal(fitsIntoRecord('x'.repeat(MAX_RESULT_BYTES)), true)
  assert.equal(fitsIntoRecord('x'.repeat(MAX_RESULT_BYTES + 1)), false)
})

test('a result is measured in bytes of UTF-8, not in characters', () => {
  assert.equal(fitsIntoRecord('€'.repeat(MAX_RESULT_BYTES / 3)), true)
  assert.equal(fitsIntoRecord(`${'€'.repeat(MAX_RESULT_BYTES / 3)}x`), false)
})

test('a text of a part’s length is one part, and one byte more makes two', () => {
  assert.deepEqual([...cutIntoParts('x'.repeat(MAX_RESULT_BYTES))].map(bytes), [MAX_RESULT_BYTES])
  assert.deepEqual([...cutIntoParts('x'.repeat(MAX_RESULT_BYTES + 1))].map(bytes), [MAX_RESULT_BYTES, 1])
})

test('a short text is one part, and an empty one has none', () => {
  assert.deepEqual([...cutIntoParts('a € 😀')], ['a € 😀'])
  assert.deepEqual([...cutIntoParts('')], [])
})

for (const character of ['é', '€', '😀']) {
  const length = bytes(character)

  for (let shift = 0; shift < length; shift += 1) {
    test(`no cut goes through ${character} when it begins ${shift} bytes off the cut`, () => {
      const text = 'x'.repeat(shift) + character.repeat((2 * MAX_RESULT_BYTES) / length)
      const parts = [...cutIntoParts(text)]
      assert.equal(parts.join(''), text)
      assert.ok(parts.every((part) => bytes(part) <= MAX_RESULT_BYTES && part.isWellFormed()))
      assert.ok(parts.every((part) => !part.includes('\ufffd')))
    })
  }
}

test('a byte order mark at the start of a part is part of the text', () => {
  const text = `\ufeff${'x'.repeat(MAX_RESULT_BYTES - 3)}\ufeff`
  assert.equal([...cutIntoParts(text)].join(''), text)
  assert.deepEqual([...cutIntoParts(text)].map(bytes), [MAX_RESULT_BYTES, 3])
})

test('parts are put together only if they are as many, and the same, as the record says', async () => {
  const whole = describeParts('a', 'first second', 2)
  assert.equal(whole.in, 'parts')
  if (whole.in !== 'parts') return
  assert.equal(await joinParts(whole, ['first ', 'second']), 'first second')
  for (const parts of [
    [],
    ['first '],
    ['second', 'first '],
    ['first ', 'sec'],
    ['first ', 'second', ''],
    ['first second'],
  ]) {
    await assert.rejects(joinParts(whole, parts), (error) => error instanceof StoreError && error.code === 'corrupt')
  }
})

test('what is said of torn parts holds none of their text', async () => {
  const whole = describeParts('a', 'first second', 2)
  assert.equal(whole.in, 'parts')
  if (whole.in !== 'parts') return
  const message = "the result's 2 parts are not whole: 1 were found"
  await assert.rejects(joinParts(whole, ['first ']), { message })
})
