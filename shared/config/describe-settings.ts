import { z } from 'zod'
import { settings } from './schema.ts'

/** What the schema of a setting has as its `meta`. */
const settingMeta = z.strictObject({
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

export const settingSubjects = settingMeta.shape.subject.options

/** A setting in words; values are in backticks. */
export interface DescribedSetting {
  readonly name: string
  readonly subject: (typeof settingSubjects)[number]
  readonly description: string
  /** Its default, or what applies without a value. */
  readonly start: string
  /** With their unit. */
  readonly values: string
  /** Absent unless the schema has a default. */
  readonly defaultValue: unknown
}

/** Describes every setting, from the schema alone. */
export function describeSettings(): readonly DescribedSetting[] {
  return Object.entries(settings.shape).map(([name, schema]) => {
    const { subject, description, absent, values = valuesOf(schema), unit } = settingMeta.parse(schema.meta())
    const withUnit = unit === undefined ? values : `${values} ${unit}`
    const defaultValue = defaultOf(schema)
    return { name, subject, description, start: describeDefault(schema, absent), values: withUnit, defaultValue }
  })
}

/** A default in backticks, or what applies without one. */
export function describeDefault(schema: z.ZodType, absent?: string): string {
  const value = defaultOf(schema)
  if (value !== undefined) return code(value)
  return absent ?? (schema instanceof z.ZodOptional ? '–' : 'required')
}

function defaultOf(schema: z.ZodType): unknown {
  return schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault ? schema.def.defaultValue : undefined
}

function valuesOf(schema: z.core.$ZodType): string {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) {
    return valuesOf(schema.def.innerType)
  }
  if (schema instanceof z.ZodEnum) return schema.options.map(code).join(', ')
  if (schema instanceof z.ZodNumber) return describeRange(schema.minValue ?? 0, schema.maxValue ?? Infinity)
  return 'text'
}

function describeRange(min: number, max: number): string {
  return max < Number.MAX_SAFE_INTEGER ? `${min}–${max}` : `${min} or more`
}

const code = (value: unknown) => `\`${value}\``
