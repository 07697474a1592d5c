import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decode, encode, UNKNOWN, type Value } from './msgpack.ts'

const { value } = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constant(null),
    fc.constant(UNKNOWN),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true }).filter((number) => !Object.is(number, -0)),
    fc.string({ unit: 'binary' }),
    fc.array(tie('value')),
    fc.dictionary(fc.string(), tie('value'), { noNullPrototype: true }),
  ),
}))

test('what is written reads back as it was', () => {
  fc.assert(fc.property(value, (given) => assert.deepEqual(decode(encode(given)), given)))
})

/** Every form that the specification of MessagePack has for what Terraform sends. */
const forms: readonly (readonly [string, Value])[] = [
  ['7f', 127],
  ['e0', -32],
  ['cc ff', 255],
  ['cd ff ff', 65_535],
  ['ce ff ff ff ff', 4_294_967_295],
  ['cf 00 00 00 01 00 00 00 00', 4_294_967_296],
  ['d0 80', -128],
  ['d1 80 00', -32_768],
  ['d2 80 00 00 00', -2_147_483_648],
  ['d3 ff ff ff ff 00 00 00 00', -4_294_967_296],
  ['ca 3f c0 00 00', 1.5],
  ['cb 3f f8 00 00 00 00 00 00', 1.5],
  ['a2 68 69', 'hi'],
  ['d9 02 68 69', 'hi'],
  ['da 00 02 68 69', 'hi'],
  ['db 00 00 00 02 68 69', 'hi'],
  ['92 c2 c3', [false, true]],
  ['dc 00 01 c0', [null]],
  ['dd 00 00 00 01 c0', [null]],
  ['81 a1 61 01', { a: 1 }],
  ['de 00 01 a1 61 01', { a: 1 }],
  ['df 00 00 00 01 a1 61 01', { a: 1 }],
]

for (const [hex, meant] of forms) {
  test(`${hex} is ${JSON.stringify(meant)}`, () => {
    assert.deepEqual(decode(Buffer.from(hex.replaceAll(' ', ''), 'hex')), meant)
  })
}

test('what is known of a value that is not known yet is passed on, and what follows it is read', () => {
  // An unknown text that is not null: an extension of three bytes and type 12.
  const refined = Buffer.from('c7030c810102', 'hex')
  const data = Buffer.concat([Buffer.of(0x92), refined, Buffer.of(0x2a)])
  assert.deepEqual(decode(data), [Uint8Array.from(refined), 42])
  assert.deepEqual(encode(decode(refined)), refined)
})

test('an integer that a number cannot hold is refused', () => {
  assert.throws(() => decode(Buffer.from('cfffffffffffffffff', 'hex')), /no safe integer/)
})
