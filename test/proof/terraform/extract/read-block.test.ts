import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readSchemaBlock } from './read-block.ts'

/** A class as the generator writes it: a comment, a field and a getter for each member. */
function classOf(name: string, base: string, members: readonly string[]): string {
  return `export class ${name} extends cdktf.${base} {\n\n${members.join('\n')}\n}\n`
}

function member(name: string, flags: string, field: string, getter: string): string {
  return `  // ${name} - ${flags}\n  ${field}\n  public get ${name}() {\n    return ${getter};\n  }\n`
}

const REQUIRED = 'computed: false, optional: false, required: true'
const OPTIONAL = 'computed: false, optional: true, required: false'
const EITHER = 'computed: true, optional: true, required: false'
const COMPUTED = 'computed: true, optional: false, required: false'

const thing = (...members: readonly string[]) => classOf('Thing', 'TerraformResource', members)

test('an argument is required, optional, computed, or the last two at once', () => {
  const source = thing(
    member('name', REQUIRED, 'private _name?: string;', "this.getStringAttribute('name')"),
    member('size', OPTIONAL, 'private _size?: number;', "this.getNumberAttribute('size')"),
    member('project', EITHER, 'private _project?: string;', "this.getStringAttribute('project')"),
    member('ready', COMPUTED, '', "this.getBooleanAttribute('ready')"),
  )
  assert.deepEqual(readSchemaBlock(source).attributes, {
    name: { type: 'string', required: true },
    size: { type: 'number', optional: true },
    project: { type: 'string', optional: true, computed: true },
    ready: { type: 'bool', computed: true },
  })
})

test('a list, a set and a map are distinguished', () => {
  const source = thing(
    member('list', OPTIONAL, 'private _list?: string[];', "this.getListAttribute('list')"),
    member('set', OPTIONAL, 'private _set?: string[];', "cdktf.Fn.tolist(this.getListAttribute('set'))"),
    member('map', OPTIONAL, 'private _map?: { [key: string]: string };', "this.getStringMapAttribute('map')"),
    member('labels', COMPUTED, 'private _labels = new cdktf.StringMap(this, "labels");', 'this._labels'),
  )
  const { attributes = {} } = readSchemaBlock(source)
  assert.deepEqual(
    Object.values(attributes).map(({ type }) => type),
    [
      ['list', 'string'],
      ['set', 'string'],
      ['map', 'string'],
      ['map', 'string'],
    ],
  )
})

const inner = classOf('ThingRuleOutputReference', 'ComplexObject', [
  member('ttl', REQUIRED, 'private _ttl?: string;', "this.getStringAttribute('ttl')"),
])
const block = { attributes: { ttl: { type: 'string', required: true } } }
const one = 'private _rule = new ThingRuleOutputReference(this, "rule");'
const many = (isSet: boolean) => `private _rule = new ThingRuleList(this, "rule", ${isSet});`

/** What the module writes into a configuration. */
const written = (type: string) =>
  `  rule: {\n    value: toHcl(this._rule),\n    isBlock: true,\n    type: "${type}",\n    storageClassType: "ThingRule",\n  }`

test('a block that is needed has at least one, and one that has no list of its own at most one', () => {
  const rule = (flags: string, field: string) =>
    readSchemaBlock(inner + thing(member('rule', flags, field, 'this._rule')))
  const blocks = (flags: string, field: string) => rule(flags, field).block_types?.['rule']
  assert.deepEqual(blocks(OPTIONAL, one), { nesting_mode: 'list', max_items: 1, block })
  assert.deepEqual(blocks(REQUIRED, one), { nesting_mode: 'list', min_items: 1, max_items: 1, block })
  assert.deepEqual(blocks(OPTIONAL, many(false)), { nesting_mode: 'list', block })
  assert.deepEqual(blocks(REQUIRED, many(true)), { nesting_mode: 'set', min_items: 1, block })
})

test('a block that is a struct, such as the timeouts, is no list', () => {
  const source = inner + thing(member('rule', OPTIONAL, one, 'this._rule')) + written('struct')
  assert.deepEqual(readSchemaBlock(source).block_types, { rule: { nesting_mode: 'single', block } })
})

test('a list of what is computed is an argument of objects, and no block', () => {
  const source = inner + thing(member('rule', COMPUTED, many(false), 'this._rule'))
  assert.deepEqual(readSchemaBlock(source), {
    attributes: { rule: { type: ['list', ['object', { ttl: 'string' }]], computed: true } },
  })
})

test('a missing type is an error', () => {
  assert.throws(
    () => readSchemaBlock(thing(member('odd', OPTIONAL, 'private _odd?: Odd;', 'this._odd'))),
    /type of odd/,
  )
})
