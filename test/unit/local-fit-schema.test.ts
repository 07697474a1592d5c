import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fitSchema } from '../../local/azure-openai/fit-schema.ts'

const object = (properties: object, more: object = {}) => ({ type: 'object', properties, ...more })

describe('a value that fits a schema', () => {
  const table: readonly (readonly [unknown, unknown])[] = [
    [{ type: 'string' }, 'the text'],
    [{ type: 'integer' }, 0],
    [{ type: 'number', minimum: 3 }, 3],
    [{ type: 'boolean' }, false],
    [{ type: 'null' }, null],
    [{ type: 'array', items: { type: 'string' } }, []],
    [{ type: ['string', 'null'] }, 'the text'],
    [{ type: 'string', enum: ['red', 'green'] }, 'red'],
    [{ const: 'fixed' }, 'fixed'],
    [{ const: null }, null],
    [{ anyOf: [{ type: 'integer' }, { type: 'null' }] }, 0],
    [object({ title: { type: 'string' }, pages: { type: 'integer' } }), { title: 'the text', pages: 0 }],
    [object({ inner: object({ isOpen: { type: 'boolean' } }) }), { inner: { isOpen: false } }],
    [object({ a: { $ref: '#/$defs/colour' } }, { $defs: { colour: { enum: ['red'] } } }), { a: 'red' }],
    [object({ a: { $ref: '#/$defs/nowhere' } }), { a: null }],
    [{}, {}],
    [undefined, {}],
    ['no schema', {}],
  ]
  for (const [schema, value] of table) {
    test(`for ${JSON.stringify(schema)} is ${JSON.stringify(value)}`, () => {
      assert.deepEqual(fitSchema(schema, 'the text'), value)
    })
  }

  test('for a schema that contains itself comes to an end', () => {
    const node = object({ next: { $ref: '#/$defs/node' } })
    assert.match(JSON.stringify(fitSchema({ ...node, $defs: { node } }, 'the text')), /^(\{"next":)+null\}+$/)
  })
})
