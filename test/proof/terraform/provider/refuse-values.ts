import { isValues, type Values } from './fill-in.ts'
import { isList, type Value } from './msgpack.ts'
import type { Attribute, Block } from './schema.ts'

/** What a provider says against the values of a configuration. */
export interface Refusal {
  readonly summary: string
  readonly detail: string
}

/** What providers check by the schema themselves, because Terraform does not: what is null, and what only a cloud sets. */
export function refuseValues({ attributes = {}, block_types = {} }: Block, values: Values): readonly Refusal[] {
  return [
    ...Object.entries(attributes).flatMap(([name, attribute]) => refuseValue(name, attribute, values[name] ?? null)),
    ...Object.entries(block_types).flatMap(([name, { block }]) => refuseBlocks(block, values[name] ?? null)),
  ]
}

function refuseBlocks(block: Block, found: Value): readonly Refusal[] {
  if (isList(found)) return found.flatMap((item) => refuseBlocks(block, item))
  return isValues(found) ? refuseValues(block, found) : []
}

function refuseValue(name: string, { required, optional }: Attribute, found: Value): readonly Refusal[] {
  if (required === true && found === null)
    return [{ summary: 'Missing required argument', detail: `"${name}" is required, and its value is null.` }]
  if (required === undefined && optional === undefined && found !== null)
    return [{ summary: 'Value for unconfigurable attribute', detail: `"${name}" is decided by the provider alone.` }]
  return []
}
