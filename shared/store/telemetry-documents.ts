import type { z } from 'zod'
import { StoreError } from './job-store.ts'
import {
  type Listing,
  type TokenFailure,
  tokenFailure,
  type WorkerInstance,
  workerInstance,
} from './telemetry-store.ts'

/** How one kind of telemetry is kept: a collection, or a table, of documents that expire. */
export interface TelemetryKind<T> {
  readonly collection: string
  readonly schema: z.ZodType<T>
  readonly idOf: (document: T) => string
  /** The field that holds the time by which the documents are listed. */
  readonly orderedBy: string
  readonly timeOf: (document: T) => number
}

export const tokenFailureKind: TelemetryKind<TokenFailure> = {
  collection: 'tokenFailures',
  // Ordered by one field, no query needs a composite index.
  schema: tokenFailure.transform((failure) => ({
    ...failure,
    lastAt: Math.max(failure.lastAt, failure.resolvedAt ?? 0),
  })),
  idOf: ({ id }) => id,
  orderedBy: 'lastAt',
  timeOf: ({ lastAt }) => lastAt,
}

export const workerInstanceKind: TelemetryKind<WorkerInstance> = {
  collection: 'workerInstances',
  schema: workerInstance,
  idOf: ({ instance }) => instance.id,
  orderedBy: 'at',
  timeOf: ({ at }) => at,
}

/** What a store keeps of a document. Throws StoreError `refused` where nobody could read it again. */
export function kept<T>(schema: z.ZodType<T>, document: T): T {
  const parsed = schema.safeParse(document)
  if (!parsed.success) throw new StoreError('refused', 'a document of telemetry is not of our form', parsed.error)
  return parsed.data
}

/** Reads what a store gave, each document for itself. */
export function toListing<T>(schema: z.ZodType<T>, documents: readonly unknown[]): Listing<T> {
  const found = documents.flatMap((document) => {
    const parsed = schema.safeParse(document)
    return parsed.success ? [parsed.data] : []
  })
  return { found, unreadable: documents.length - found.length }
}
