import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'

/** A type as Terraform writes it: "string", ["list", "string"], ["object", {…}]. */
export type AttributeType = string | readonly [string, AttributeType | Readonly<Record<string, AttributeType>>]

const attributeType: z.ZodType<AttributeType> = z.lazy(() =>
  z.union([z.string(), z.tuple([z.string(), z.union([attributeType, z.record(z.string(), attributeType)])])]),
)

const attribute = z.strictObject({
  type: attributeType,
  required: z.literal(true).optional(),
  optional: z.literal(true).optional(),
  computed: z.literal(true).optional(),
})

export type Attribute = z.infer<typeof attribute>

export interface Block {
  readonly attributes?: Readonly<Record<string, Attribute>> | undefined
  readonly block_types?: Readonly<Record<string, BlockType>> | undefined
}

export interface BlockType {
  readonly nesting_mode: 'single' | 'list' | 'set'
  readonly min_items?: number | undefined
  readonly max_items?: number | undefined
  readonly block: Block
}

const block: z.ZodType<Block> = z.lazy(() =>
  z.strictObject({
    attributes: z.record(z.string(), attribute).optional(),
    block_types: z.record(z.string(), blockType).optional(),
  }),
)

const blockType: z.ZodType<BlockType> = z.strictObject({
  nesting_mode: z.enum(['single', 'list', 'set']),
  min_items: z.number().optional(),
  max_items: z.number().optional(),
  block,
})

const schema = z.strictObject({ block })

export type Schema = z.infer<typeof schema>

const providerSchema = z.strictObject({
  provider: schema,
  resource_schemas: z.record(z.string(), schema),
  data_source_schemas: z.record(z.string(), schema),
})

export type ProviderSchema = z.infer<typeof providerSchema>

/** One file of schemas, in the form of `terraform providers schema -json`, and where it comes from. */
export const schemaFile = z.strictObject({
  format_version: z.literal('1.0'),
  /** The npm package that was read, with its version. */
  package: z.string(),
  /** The version of the provider that the package documents. */
  version: z.string(),
  provider_schemas: z.record(z.string(), providerSchema),
})

export type SchemaFile = z.infer<typeof schemaFile>

export const SCHEMAS = join(import.meta.dirname, '../schemas')

/** A provider whose schema is kept here. */
export interface KnownProvider {
  /** registry.terraform.io/hashicorp/NAME */
  readonly address: string
  readonly version: string
  readonly schema: ProviderSchema
}

/** The providers that are known: google, azurerm, azuread. */
export function readProviders(): readonly KnownProvider[] {
  return ['google', 'azurerm', 'azuread'].flatMap((name) => {
    const file = schemaFile.parse(JSON.parse(readFileSync(join(SCHEMAS, `${name}.json`), 'utf8')))
    return Object.entries(file.provider_schemas).map(([address, schema]) => ({
      address,
      version: file.version,
      schema,
    }))
  })
}
