import { isList, type Value } from './msgpack.ts'
import type { AttributeType, Block } from './schema.ts'

export type Values = Readonly<Record<string, Value>>

/** What stands for an attribute that a cloud would compute; the value that is there, where it is left alone. */
export type Fill = (found: Value, type: AttributeType, name: string) => Value

/** A block's values with its computed attributes filled in, and those of the blocks in it. */
export function fillIn(block: Block, values: Values, fill: Fill): Values {
  const attributes = Object.entries(block.attributes ?? {}).map(([name, { computed, type }]) => {
    const found = values[name] ?? null
    return [name, computed === true ? fill(found, type, name) : found] as const
  })
  const blocks = Object.entries(block.block_types ?? {}).map(([name, { block: inner, nesting_mode: mode }]) => {
    return [name, fillBlocks(inner, values[name] ?? (mode === 'single' ? null : []), fill)] as const
  })
  return Object.fromEntries([...attributes, ...blocks])
}

function fillBlocks(block: Block, found: Value, fill: Fill): Value {
  if (isList(found)) return found.map((item) => fillBlocks(block, item, fill))
  return isValues(found) ? fillIn(block, found, fill) : found
}

export function isValues(value: Value): value is Values {
  return typeof value === 'object' && value !== null && !isList(value) && !(value instanceof Uint8Array)
}
