import { timestamp, toEpochMs, type Value } from '../../../shared/stores/firestore/protocol.ts'

type Fields = Readonly<Record<string, Value>>

/** Reads Firestore's values without our adapters' own code. A value of a kind that we never write is undefined. */
export function toPlain(value: Value | null | undefined): unknown {
  if (value === undefined || value === null) return undefined
  if (value.mapValue) return plainFields(value.mapValue.fields ?? {})
  if (value.arrayValue) return (value.arrayValue.values ?? []).map(toPlain)
  if (value.timestampValue) return toEpochMs(timestamp.parse(value.timestampValue))
  if (value.integerValue !== undefined && value.integerValue !== null) return Number(value.integerValue)
  if (value.doubleValue !== undefined && value.doubleValue !== null) return Number(value.doubleValue)
  return value.stringValue ?? value.booleanValue ?? value.bytesValue ?? undefined
}

export function plainFields(fields: Fields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, toPlain(value)]))
}

export function textOf(value: Value | undefined): string | undefined {
  return value?.stringValue ?? undefined
}

/** Epoch milliseconds; NaN, where it is no time, which no comparison holds for. */
export function timeOf(value: Value | undefined): number {
  return value?.timestampValue ? toEpochMs(timestamp.parse(value.timestampValue)) : Number.NaN
}

export function isEqual(fields: Fields, equal: Readonly<Record<string, string>>): boolean {
  return Object.entries(equal).every(([name, text]) => textOf(fields[name]) === text)
}

export function hasNumberAt(fields: Fields, [name = '', ...rest]: readonly string[]): boolean {
  const value = fields[name]
  if (rest.length > 0) return hasNumberAt(value?.mapValue?.fields ?? {}, rest)
  return value?.integerValue !== undefined && value.integerValue !== null
}

/** 0, where there is no number. */
export function numberAt(fields: Fields, [name = '', ...rest]: readonly string[]): number {
  const value = fields[name]
  if (rest.length > 0) return numberAt(value?.mapValue?.fields ?? {}, rest)
  return Number(value?.integerValue ?? 0)
}
