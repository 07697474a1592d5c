import { findExcess } from './json-limits.ts'

/** The `json_schema` of a request's `response_format`. */
export interface ParsedSchema {
  readonly name: string
  readonly strict: boolean
  readonly schema: Readonly<Record<string, unknown>>
}

type Parsed = { readonly ok: true; readonly schema: ParsedSchema } | { readonly ok: false; readonly problem: string }

/** Azure OpenAI reads up to ten levels of schema; a level of schema is at most four of JSON. */
const LIMITS = { maxValues: 20_000, maxDepth: 60 }
const MAX_NAME = 64

/**
 * Reads the JSON Schema of a structured answer.
 *
 * A strict one has only objects that name all their properties as required and allow no other. Azure OpenAI refuses every
 * request with another one.
 */
export function parseSchema(
  text: string,
  { name, strict }: { readonly name: string; readonly strict: boolean },
): Parsed {
  const json = text.replace(/^```\w*\s*\n/, '').replace(/\n```$/, '')
  const excess = findExcess(json, LIMITS)
  if (excess !== undefined) return refuse('is too large or nested too deeply')
  let schema: unknown
  try {
    schema = JSON.parse(json)
  } catch {
    return refuse('is not JSON')
  }
  if (!isObject(schema) || schema['type'] !== 'object') return refuse('must be a JSON object with "type": "object"')
  const problem = strict ? findOpenObject(schema, '') : undefined
  if (problem !== undefined)
    return refuse(`${problem}. Azure OpenAI needs that if it is strict; strict: false turns it off`)
  return { ok: true, schema: { name: schemaName(name), strict, schema } }
}

/** Azure OpenAI allows letters, digits, _ and -. */
function schemaName(name: string): string {
  return name.replaceAll(/[^\w-]+/g, '_').slice(0, MAX_NAME) || 'answer'
}

/** `path`: of properties, for people. */
function findOpenObject(schema: unknown, path: string): string | undefined {
  if (!isObject(schema)) return undefined
  const { properties, required, items, anyOf } = schema
  if (isObject(properties) || schema['type'] === 'object') {
    const where = path === '' ? '' : ` at ${path}`
    if (schema['additionalProperties'] !== false) return `needs "additionalProperties": false${where}`
    const named: readonly unknown[] = Array.isArray(required) ? required : []
    const left = Object.keys(isObject(properties) ? properties : {}).find((name) => !named.includes(name))
    if (left !== undefined) return `must list ${JSON.stringify(left)} as "required"${where}`
  }
  const inner = [
    ...['properties', '$defs', 'definitions'].flatMap((key) => {
      const named = schema[key]
      return isObject(named) ? Object.entries(named).map(([name, value]) => [join(path, name), value] as const) : []
    }),
    ...[items, ...(Array.isArray(anyOf) ? anyOf : [])].map((value) => [path, value] as const),
  ]
  return inner.map(([at, value]) => findOpenObject(value, at)).find((problem) => problem !== undefined)
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function refuse(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem }
}
