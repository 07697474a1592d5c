import type { Attribute, AttributeType, Block, BlockType } from '../provider/schema.ts'

/** The TypeScript that a generated module was compiled from; each says what the schema it was made from says. */
export type Source = string

/** The schema of a resource, a data source or a provider: what the last class of its module has. */
export function readSchemaBlock(source: Source): Block {
  const [, name] = /^export class (\w+) extends cdktf\.Terraform(?:Resource|DataSource|Provider) /m.exec(source) ?? []
  if (name === undefined) throw new Error('a module without a resource, data source or provider')
  return blockOf(readMembers(source, name), source)
}

/** An argument or a block, as its class describes it. */
interface Member {
  readonly name: string
  readonly computed: boolean
  readonly optional: boolean
  readonly required: boolean
  /** Its field and its getter. */
  readonly text: string
}

/** The comment before each member, which the generator writes from the schema. */
const MEMBER =
  /^ {2}\/\/ (\w+) - computed: (\w+), optional: (\w+), required: (\w+)\n([\s\S]*?)(?=^ {2}\/\/ |^ {2}public set |^})/gm

function readMembers(source: Source, className: string): readonly Member[] {
  const start = source.indexOf(`export class ${className} extends `)
  if (start < 0) throw new Error(`no class ${className}`)
  const body = source.slice(start, source.indexOf('\n}\n', start) + 3)
  return [...body.matchAll(MEMBER)].map(([, name = '', computed, optional, required, text = '']) => ({
    name,
    computed: computed === 'true',
    optional: optional === 'true',
    required: required === 'true',
    text,
  }))
}

function blockOf(members: readonly Member[], source: Source): Block {
  const attributes: [string, Attribute][] = []
  const blocks: [string, BlockType][] = []
  for (const member of members) {
    const nested = nestedOf(member, source)
    // What is computed is never a block: blocks are what a configuration has.
    if (nested === undefined) attributes.push([member.name, { type: typeOf(member), ...flagsOf(member) }])
    else if (member.computed)
      attributes.push([member.name, { type: [nested.many, objectOf(nested.block)], ...flagsOf(member) }])
    else blocks.push([member.name, blockTypeOf(member, nested)])
  }
  return {
    ...(attributes.length > 0 && { attributes: Object.fromEntries(attributes) }),
    ...(blocks.length > 0 && { block_types: Object.fromEntries(blocks) }),
  }
}

function flagsOf({ required, optional, computed }: Member): Omit<Attribute, 'type'> {
  return { ...(required && { required }), ...(optional && { optional }), ...(computed && { computed }) }
}

const TYPES: readonly (readonly [RegExp, AttributeType])[] = [
  [/Fn\.tolist\(this\.getNumberListAttribute/, ['set', 'number']],
  [/Fn\.tolist\(this\.getListAttribute/, ['set', 'string']],
  [/new cdktf\.StringMapList\(/, ['list', ['map', 'string']]],
  [/new cdktf\.StringMap\(|getStringMapAttribute|\?: \{ \[key: string\]: string \}/, ['map', 'string']],
  [/getNumberListAttribute|\?: number\[\]/, ['list', 'number']],
  [/getListAttribute|\?: string\[\]/, ['list', 'string']],
  [/getStringAttribute|\?: string/, 'string'],
  [/getNumberAttribute|\?: number/, 'number'],
  [/getBooleanAttribute|\?: boolean/, 'bool'],
]

function typeOf({ name, text }: Member): AttributeType {
  const [, type] = TYPES.find(([pattern]) => pattern.test(text)) ?? []
  if (type === undefined) throw new Error(`the type of ${name} is missing:\n${text}`)
  return type
}

interface Nested {
  readonly many: 'list' | 'set'
  readonly shape: 'one' | 'several' | 'struct'
  readonly block: Block
}

/** A block, or a list of objects. A provider has them as plain arrays, a resource as classes. */
function nestedOf({ name, text }: Member, source: Source): Nested | undefined {
  const [, plain] = /\?: (\w+)\[\] \| cdktf\.IResolvable/.exec(text) ?? []
  if (plain !== undefined) return { many: 'list', shape: 'several', block: blockOfInterface(plain, source) }
  const [, type, form, isSet] = /= new (\w+?)(List|OutputReference)\(this, "\w+"(?:, (\w+))?\)/.exec(text) ?? []
  if (type === undefined) return undefined
  const block = blockOf(readMembers(source, `${type}OutputReference`), source)
  if (form === 'List') return { many: isSet === 'true' ? 'set' : 'list', shape: 'several', block }
  const declared = entriesOf(source).find((entry) => entry.name === name && entry.storage.replace(/List$/, '') === type)
  if (declared?.type === 'struct') return { many: 'list', shape: 'struct', block }
  return { many: declared?.type === 'set' ? 'set' : 'list', shape: 'one', block }
}

function blockTypeOf({ required }: Member, { many, shape, block }: Nested): BlockType {
  if (shape === 'struct') return { nesting_mode: 'single', block }
  return {
    nesting_mode: many,
    ...(required && { min_items: 1 }),
    ...(shape === 'one' && { max_items: 1 }),
    block,
  }
}

function objectOf(block: Block): AttributeType {
  const attributes = Object.entries(block.attributes ?? {}).map(([name, { type }]) => [name, type] as const)
  const blocks = Object.entries(block.block_types ?? {}).map(
    ([name, { nesting_mode, block }]) =>
      [name, nesting_mode === 'single' ? objectOf(block) : ([nesting_mode, objectOf(block)] as const)] as const,
  )
  return ['object', Object.fromEntries([...attributes, ...blocks])]
}

interface Entry {
  readonly name: string
  readonly type: string
  readonly storage: string
}

const ENTRY = /^ +(\w+): \{\n +value: .*\n +isBlock: \w+,\n +type: "(\w+)",\n +storageClassType: "(\w+)",/gm

/** What the module writes into a configuration: each argument, and how it is nested. */
function entriesOf(source: Source): readonly Entry[] {
  return [...source.matchAll(ENTRY)].map(([, name = '', type = '', storage = '']) => ({ name, type, storage }))
}

const STORAGE: Readonly<Record<string, AttributeType>> = {
  string: 'string',
  number: 'number',
  boolean: 'bool',
  stringMap: ['map', 'string'],
  stringList: ['list', 'string'],
}

/** A block of a provider has no class: its interface lists what is required, and the rest is in what it writes. */
function blockOfInterface(name: string, source: Source): Block {
  const [, fields = ''] = new RegExp(`^export interface ${name} \\{\n([sS]*?)^}`, 'm').exec(source) ?? []
  const required = [...fields.matchAll(/#(\w+) \w+#\w+\}\n +\*\/\n +readonly \w+:/g)].map(([, field]) => field)
  const start = source.indexOf(`${name.charAt(0).toLowerCase()}${name.slice(1)}ToHclTerraform(`)
  const attributes: [string, Attribute][] = []
  const blocks: [string, BlockType][] = []
  for (const entry of entriesOf(source.slice(start, source.indexOf('\n}\n', start)))) {
    const type = STORAGE[entry.storage]
    const flag = required.includes(entry.name) ? { required: true as const } : { optional: true as const }
    if (type !== undefined) attributes.push([entry.name, { type, ...flag }])
    else {
      const block = blockOfInterface(entry.storage.replace(/List$/, ''), source)
      blocks.push([entry.name, { nesting_mode: entry.type === 'set' ? 'set' : 'list', block }])
    }
  }
  return {
    ...(attributes.length > 0 && { attributes: Object.fromEntries(attributes) }),
    ...(blocks.length > 0 && { block_types: Object.fromEntries(blocks) }),
  }
}
