import { fromEpochMs, type Value } from './protocol.ts'

type Direction = 'ASCENDING' | 'DESCENDING'

/** Documents in the order of their names. */
export interface Walk {
  /** Fields that have these values. */
  readonly equal: Readonly<Record<string, string>>
  /** Only these fields are read; all, when absent. */
  readonly mask?: readonly string[]
  /** A document's whole name. */
  readonly after: string | undefined
}

/** Equality alone: any number of such filters needs no composite index. */
export function select(collection: string, equal: Readonly<Record<string, string>>) {
  const filters = Object.entries(equal).map(([fieldPath, stringValue]) => ({
    fieldFilter: { field: { fieldPath }, op: 'EQUAL' as const, value: { stringValue } },
  }))
  return { from: [{ collectionId: collection }], where: { compositeFilter: { op: 'AND' as const, filters } } }
}

/** In the order of their names, which are spread by their hashes, equality alone needs no composite index either. */
export function selectWalk(collection: string, { equal, mask, after }: Walk) {
  const { from, where } = select(collection, equal)
  return {
    from,
    ...(Object.keys(equal).length === 0 ? {} : { where }),
    ...(mask && { select: { fields: mask.map((fieldPath) => ({ fieldPath })) } }),
    orderBy: [{ field: { fieldPath: '__name__' }, direction: 'ASCENDING' as const }],
    ...(after === undefined ? {} : { startAt: { values: [{ referenceValue: after }], before: false } }),
  }
}

/** Documents in the order of a time. */
export interface TimeRange {
  /** Epoch milliseconds; it counts. */
  readonly since: number
  readonly direction: Direction
  readonly limit?: number | undefined
  /** A document's time, in epoch milliseconds, and its whole name. */
  readonly after?: { readonly at: number; readonly name: string } | undefined
}

/** A range and an order on one field need no composite index either. */
export function selectSince(collection: string, fieldPath: string, { since, direction, limit, after }: TimeRange) {
  const field = { fieldPath }
  const value = { timestampValue: fromEpochMs(since) }
  return {
    from: [{ collectionId: collection }],
    where: { fieldFilter: { field, op: 'GREATER_THAN_OR_EQUAL' as const, value } },
    orderBy: [field, { fieldPath: '__name__' }].map((each) => ({ field: each, direction })),
    ...(limit === undefined ? {} : { limit: { value: limit } }),
    ...(after === undefined ? {} : behind({ timestampValue: fromEpochMs(after.at) }, after.name)),
  }
}

function behind(value: Value, name: string) {
  return { startAt: { values: [value, { referenceValue: name }], before: false } }
}

/** Both ends count. Those of one text are in the order of their names. */
export interface TextRange {
  readonly from: string
  readonly to: string
  readonly limit: number
  /** A document's text, and its whole name. */
  readonly after: { readonly text: string; readonly name: string } | undefined
}

/** The index of a field ends in the document's name, so this order needs no composite index either. */
export function selectRange(collection: string, fieldPath: string, { from, to, limit, after }: TextRange) {
  const field = { fieldPath }
  const filters = [
    { fieldFilter: { field, op: 'GREATER_THAN_OR_EQUAL' as const, value: { stringValue: from } } },
    { fieldFilter: { field, op: 'LESS_THAN_OR_EQUAL' as const, value: { stringValue: to } } },
  ]
  return {
    from: [{ collectionId: collection }],
    where: { compositeFilter: { op: 'AND' as const, filters } },
    orderBy: [field, { fieldPath: '__name__' }].map((each) => ({ field: each, direction: 'ASCENDING' as const })),
    limit: { value: limit },
    ...(after === undefined ? {} : behind({ stringValue: after.text }, after.name)),
  }
}
