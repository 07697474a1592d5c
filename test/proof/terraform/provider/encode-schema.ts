import { bytesField, flagField, message, numberField } from './protobuf.ts'
import type { Attribute, Block, BlockType, ProviderSchema, Schema } from './schema.ts'

/** The numbers of Schema.NestedBlock.NestingMode. */
const NESTING = { single: 1, list: 2, set: 3 }

/** GetProviderSchema.Response; its numbers, and those below, are tfplugin5's. */
export function encodeProviderSchema({ provider, resource_schemas, data_source_schemas }: ProviderSchema): Buffer {
  const entries = (number: number, schemas: Readonly<Record<string, Schema>>) =>
    Object.entries(schemas).map(([type, schema]) =>
      bytesField(number, message(bytesField(1, type), bytesField(2, encodeSchema(schema)))),
    )
  return message(
    bytesField(1, encodeSchema(provider)),
    ...entries(2, resource_schemas),
    ...entries(3, data_source_schemas),
  )
}

function encodeSchema({ block }: Schema): Buffer {
  return message(bytesField(2, encodeBlock(block)))
}

function encodeBlock({ attributes = {}, block_types = {} }: Block): Buffer {
  return message(
    ...Object.entries(attributes).map(([name, attribute]) => bytesField(2, encodeAttribute(name, attribute))),
    ...Object.entries(block_types).map(([name, type]) => bytesField(3, encodeBlockType(name, type))),
  )
}

function encodeAttribute(name: string, { type, required, optional, computed }: Attribute): Buffer {
  return message(
    bytesField(1, name),
    bytesField(2, JSON.stringify(type)),
    flagField(4, required),
    flagField(5, optional),
    flagField(6, computed),
  )
}

function encodeBlockType(name: string, { block, nesting_mode, min_items = 0, max_items = 0 }: BlockType): Buffer {
  return message(
    bytesField(1, name),
    bytesField(2, encodeBlock(block)),
    numberField(3, NESTING[nesting_mode]),
    numberField(4, min_items),
    numberField(5, max_items),
  )
}
