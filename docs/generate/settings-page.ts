import { z } from 'zod'
import { settings } from '../../shared/config/schema.ts'
import { deploymentFields } from '../../shared/config/setting-values.ts'
import { table } from './table.ts'

/** What the schema of a setting has as its `meta`. */
const settingMeta = z.strictObject({
  /** The section of the page. */
  subject: z.enum(['process', 'identity', 'deployments', 'push', 'storage', 'time', 'limits']),
  /** One short sentence. */
  description: z.string(),
  /** What applies without a value, where the schema has no default. */
  absent: z.string().optional(),
  /** Which values there are, where the schema does not list them. */
  values: z.string().optional(),
  /** The unit of a number. */
  unit: z.string().optional(),
})

/** A table of settings for each subject, and one of the fields of a deployment. */
export function settingsParts(): ReadonlyMap<string, string> {
  const described = Object.entries(settings.shape).map(([name, schema]) => ({
    name,
    schema,
    meta: settingMeta.parse(schema.meta()),
  }))
  const parts = settingMeta.shape.subject.options.map((subject) => {
    const rows = described.filter(({ meta }) => meta.subject === subject)
    return [subject, table(['setting', 'default', 'values', 'meaning'], rows.map(settingRow))] as const
  })
  return new Map([...parts, ['fields', fieldTable()]])
}

interface Described {
  readonly name: string
  readonly schema: z.ZodType
  readonly meta: z.infer<typeof settingMeta>
}

function settingRow({ name, schema, meta }: Described): readonly string[] {
  const { description, absent, values = describeValues(schema), unit } = meta
  return [code(name), describeDefault(schema, absent), unit === undefined ? values : `${values} ${unit}`, description]
}

function fieldTable(): string {
  const fields: readonly (readonly [string, z.ZodType])[] = Object.entries(deploymentFields)
  const rows = fields.map(([name, schema]) => [code(name), describeDefault(schema), schema.description ?? ''])
  return table(['field', 'default', 'meaning'], rows)
}

function describeDefault(schema: z.ZodType, absent?: string): string {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) return code(schema.def.defaultValue)
  return absent ?? (schema instanceof z.ZodOptional ? '–' : 'required')
}

function describeValues(schema: z.core.$ZodType): string {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) {
    return describeValues(schema.def.innerType)
  }
  if (schema instanceof z.ZodEnum) return schema.options.map(code).join(', ')
  if (schema instanceof z.ZodNumber) return describeRange(schema.minValue ?? 0, schema.maxValue ?? Infinity)
  return 'text'
}

function describeRange(min: number, max: number): string {
  return max < Number.MAX_SAFE_INTEGER ? `${min}–${max}` : `${min} or more`
}

const code = (value: unknown) => `\`${value}\``
