import { z } from 'zod'
import { fromEpochMs, timestamp, toEpochMs, type Value } from './protocol.ts'

type Plain = string | number | boolean | Uint8Array | readonly Plain[] | PlainMap
export type PlainMap = { readonly [name: string]: Plain | undefined }

/** Fields that hold epoch milliseconds with us, and a timestamp in Firestore: its TTL policies read nothing else. */
const TIMES = new Set([
  ...[
    'createdAt',
    'startedAt',
    'endedAt',
    'settledAt',
    'cancelledAt',
    'completedAt',
    'expireAt',
    'deadline',
    'giveUpAt',
    'sweptAt',
    'toSweep',
  ],
  ...['at', 'firstAt', 'lastAt', 'nextTryAt', 'resolvedAt'],
])

/** Writes an object in Firestore's own form. A field that is undefined is left out; numbers are integers. */
export function toFields(map: PlainMap): Record<string, Value> {
  return Object.fromEntries(
    Object.entries(map).flatMap(([name, value]) => (value === undefined ? [] : [[name, toValue(value, name)]])),
  )
}

function toValue(value: Plain, name: string): Value {
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'boolean') return { booleanValue: value }
  if (typeof value === 'number') {
    return TIMES.has(name) ? { timestampValue: fromEpochMs(value) } : { integerValue: value }
  }
  if (value instanceof Uint8Array) return { bytesValue: value }
  if (isList(value)) return { arrayValue: { values: value.map((item) => toValue(item, '')) } }
  return { mapValue: { fields: toFields(value) } }
}

function isList(value: readonly Plain[] | PlainMap): value is readonly Plain[] {
  return Array.isArray(value)
}

const wire: z.ZodType<unknown> = z.lazy(() =>
  z.union([
    z.object({ stringValue: z.string() }).transform(({ stringValue }) => stringValue),
    z.object({ integerValue: z.coerce.number() }).transform(({ integerValue }) => integerValue),
    z.object({ booleanValue: z.boolean() }).transform(({ booleanValue }) => booleanValue),
    z.object({ bytesValue: z.instanceof(Uint8Array) }).transform(({ bytesValue }) => bytesValue),
    z.object({ timestampValue: timestamp }).transform(({ timestampValue }) => toEpochMs(timestampValue)),
    z.object({ mapValue: z.object({ fields: fields.default({}) }) }).transform(({ mapValue }) => mapValue.fields),
    z
      .object({ arrayValue: z.object({ values: z.array(wire).default([]) }) })
      .transform(({ arrayValue }) => arrayValue.values),
  ]),
)

/** Reads Firestore's form of an object's fields. */
export const fields: z.ZodType<Record<string, unknown>> = z.record(z.string(), wire)
