import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { plainText } from '../../cli/plain-text.ts'

test('what a terminal would obey becomes a space', () => {
  assert.equal(plainText('red \x1b[31malert'), 'red  [31malert')
  assert.equal(plainText('eight bits \x9b31m'), 'eight bits  31m')
  assert.equal(plainText('a title\x1b]0;mine\x07.'), 'a title ]0;mine .')
  assert.equal(plainText('over\rwritten\b\x7f'), 'over written ')
})

test('what would make another line becomes one space', () => {
  assert.equal(plainText('one\r\n\ttwo\u2028three\u2029four\u0085five'), 'one two three four five')
})

test('what would turn the direction of writing becomes a space', () => {
  assert.equal(plainText('\u202egnp.exe\u2066'), ' gnp.exe ')
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
