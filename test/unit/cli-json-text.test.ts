import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { indented, withMember } from '../../cli/json-text.ts'

test('whatever is laid out looks as JSON.stringify lays it out, however it was spaced', () => {
  const spacing = fc.constantFrom('', ' ', '\n', '\t\t', '    ')
  fc.assert(
    fc.property(fc.jsonValue(), spacing, (value, indent) => {
      // What has no other spelling: the digits of numbers are kept as they are, and -0 is written as 0.
      const text = JSON.stringify(value, null, indent)
      assert.equal(indented(text), JSON.stringify(JSON.parse(text), null, 2))
    }),
  )
})

test('numbers, names that stand twice and escapes stay as they were spelt', () => {
  const text = '{"2":9007199254740993,"1":[1.0,-0,1E-7],"x":"\\u0041\\/","x":{\n}}'
  assert.equal(indented(text).replaceAll(/\n */g, '').replaceAll('": ', '":'), text.replace('{\n}', '{}'))
})

test('a string of twelve million escapes is laid out as it is', () => {
  const text = JSON.stringify('\n"\\'.repeat(4_000_000))
  assert.equal(indented(text), text)
})

test('a member is added after those that are there, on the same line', () => {
  assert.equal(withMember('{"a":1}', 'b "c"', '[\n1,\r\n"\\n"]'), '{"a":1,"b \\"c\\"":[1,"\\n"]}')
})
