import { z } from 'zod'
import { fromEpochMs, timestamp, toEpochMs, type Value } from './protocol.ts'

type Plain = string | number | boolean | Uint8Array | readonly Plain[] | PlainMap
export type PlainMap = { readonly [name: string]: Plain | undefined }

/** Fields that are epoch milliseconds in code and timestamps in Firestore, because TTL policies read only timestamps. */
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
    'sealedAt',
    'activeAt',
    'deferredAt',
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

type WireMap = Readonly<Record<string, unknown>>

/**
 * Reads an object's fields from Firestore's form. Each field is read separately, so an unreadable one does not hide others.
 * Null, and kinds that Promptbridge never writes, are read as absent.
 */
export const fields: z.ZodType<Record<string, unknown>> = z.record(z.string(), z.unknown()).transform(readMap)

function readMap(map: WireMap): Record<string, unknown> {
  const read = Object.entries(map).map(([name, value]) => [name, readValue(value)] as const)
  return Object.fromEntries(read.filter(([, value]) => value !== undefined))
}

/** By hand, since a listing reads a hundred thousand of them. */
function readValue(value: unknown): unknown {
  if (!isMap(value)) return undefined
  const { stringValue, booleanValue, bytesValue, timestampValue, mapValue, arrayValue } = value
  if (typeof stringValue === 'string') return stringValue
  if (typeof booleanValue === 'boolean') return booleanValue
  if (bytesValue instanceof Uint8Array) return bytesValue
  if (isMap(timestampValue)) return readTime(timestampValue)
  if (isMap(mapValue)) return readMap(isMap(mapValue['fields']) ? mapValue['fields'] : {})
  // An unreadable item keeps its place, because it may be an attempt that was billed.
  if (isMap(arrayValue)) return listIn(arrayValue).map((item) => readValue(item) ?? null)
  return readNumber(value)
}

/** 64-bit integers come as text. */
function readNumber({ integerValue, doubleValue }: WireMap): number | undefined {
  const number = Number(integerValue ?? doubleValue ?? Number.NaN)
  return Number.isFinite(number) ? number : undefined
}

function readTime(value: WireMap): number | undefined {
  const { data } = timestamp.safeParse(value)
  return data && toEpochMs(data)
}

function listIn({ values }: WireMap): readonly unknown[] {
  return Array.isArray(values) ? values : []
}

function isMap(value: unknown): value is WireMap {
  return typeof value === 'object' && value !== null
}
