import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { plainText } from '../../cli/plain-text.ts'

test('what a terminal would obey is escaped', () => {
  assert.equal(plainText('red \x1b[31malert'), 'red \\u001b[31malert')
  assert.equal(plainText('eight bits \x9b31m'), 'eight bits \\u009b31m')
  assert.equal(plainText('a title\x1b]0;mine\x07.'), 'a title\\u001b]0;mine\\u0007.')
  assert.equal(plainText('over\rwritten\b\x7f'), 'over\\u000dwritten\\u0008\\u007f')
})

test('what would make another line is a space, or is escaped', () => {
  assert.equal(plainText('one\r\n\ttwo\u2028three\u2029four\u0085five'), 'one two\\u2028three\\u2029four\\u0085five')
})

test('what would turn the direction of writing is escaped', () => {
  assert.equal(plainText('\u202egnp.exe\u2066'), '\\u202egnp.exe\\u2066')
})

test('every other text stays as it is', () => {
  assert.equal(plainText('Nacht № 7 – “größer” 東京 😀'), 'Nacht № 7 – “größer” 東京 😀')
})

test('nothing is left of any text that is below a space or between 7f and 9f', () =>
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const codes = Array.from(plainText(text), (character) => character.codePointAt(0) ?? 0)
      assert.ok(codes.every((code) => code >= 0x20 && (code < 0x7f || code > 0x9f)))
    }),
  ))
