import { z } from 'zod'

/** The supported part of a JSON schema. The other keywords only restrict values. */
const schemaNode = z.looseObject({
  $ref: z.string().optional(),
  $defs: z.record(z.string(), z.unknown()).optional(),
  const: z.unknown().optional(),
  enum: z.array(z.unknown()).min(1).optional(),
  anyOf: z.array(z.unknown()).min(1).optional(),
  type: z.union([z.string(), z.array(z.string()).min(1)]).optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  minimum: z.number().optional(),
})
type SchemaNode = z.infer<typeof schemaNode>

/** Deep enough for real schemas. A recursive schema ends here. */
const MAX_DEPTH = 20

/** A value that fits a JSON schema: all properties are present, strings contain the text, lists are empty. */
export function fitSchema(schema: unknown, text: string): unknown {
  const root = schemaNode.safeParse(schema).data ?? {}
  return fit(root, { text, defs: root.$defs ?? {} }, MAX_DEPTH)
}

interface Given {
  readonly text: string
  readonly defs: Readonly<Record<string, unknown>>
}

function fit(schema: unknown, given: Given, depth: number): unknown {
  const { data } = schemaNode.safeParse(schema)
  if (data === undefined || depth === 0) return null
  if (data.$ref !== undefined) return fit(given.defs[data.$ref.replace('#/$defs/', '')], given, depth - 1)
  if (data.const !== undefined) return data.const
  if (data.enum !== undefined) return data.enum[0]
  if (data.anyOf !== undefined) return fit(data.anyOf[0], given, depth - 1)
  return fitType(data, given, depth)
}

function fitType({ type, properties, minimum = 0 }: SchemaNode, given: Given, depth: number): unknown {
  const [kind = 'object'] = [type ?? []].flat()
  switch (kind) {
    case 'string':
      return given.text
    case 'number':
    case 'integer':
      return minimum
    case 'boolean':
      return false
    case 'array':
      return []
    case 'object': {
      const entries = Object.entries(properties ?? {}).map(([name, inner]) => [name, fit(inner, given, depth - 1)])
      return Object.fromEntries(entries)
    }
    default:
      return null
  }
}
