import { z } from 'zod'
import { StoreError } from './job-store.ts'
import { given, lenient, NEVER, time, whole } from './lenient.ts'
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
  /** What is written. */
  readonly schema: z.ZodType<T>
  /** Reads the readable fields of a document, or returns undefined if the required fields are missing. */
  readonly read: (document: unknown) => T | undefined
  readonly idOf: (document: T) => string
  /** The field that holds the time by which the documents are listed. */
  readonly orderedBy: string
  readonly timeOf: (document: T) => number
}

const { text } = lenient
const instance = z
  .object({ service: text, revision: text, id: z.string().catch('unknown') })
  .transform(given)
  .catch({ id: 'unknown' })
const expireAt = time.catch(NEVER)

const storedTokenFailure = z
  .object({
    ...tokenFailure.pick({ id: true, leg: true, message: true, lastAt: true }).shape,
    instance,
    kind: z.string().catch('unknown'),
    hint: z.string().catch(''),
    code: text,
    correlationId: text,
    deployment: text,
    httpStatus: lenient.whole,
    aadsts: z.array(whole).optional().catch(undefined),
    presented: tokenFailure.shape.presented.catch(undefined),
    firstAt: lenient.time,
    nextTryAt: lenient.time,
    resolvedAt: lenient.time,
    expireAt,
    tries: whole.catch(1),
    jobsHeld: whole.catch(0),
    tokenValidForMs: whole.catch(0),
  })
  .transform(({ lastAt, ...rest }) => ({ firstAt: lastAt, nextTryAt: lastAt, lastAt, ...given(rest) }))
  .pipe(tokenFailure)

export const tokenFailureKind: TelemetryKind<TokenFailure> = {
  collection: 'tokenFailures',
  // Ordered by one field, no query needs a composite index.
  schema: tokenFailure.transform((failure) => ({
    ...failure,
    lastAt: Math.max(failure.lastAt, failure.resolvedAt ?? 0),
  })),
  read: (document) => storedTokenFailure.safeParse(document).data,
  idOf: ({ id }) => id,
  orderedBy: 'lastAt',
  timeOf: ({ lastAt }) => lastAt,
}

const storedWorkerInstance = z
  .object({
    ...workerInstance.pick({ instance: true, at: true }).shape,
    startedAt: lenient.time,
    token: z.string().catch('unknown'),
    expireAt,
    tokenValidForMs: whole.catch(0),
    inFlight: whole.catch(0),
    refusedPushes: whole.catch(0),
    models: z.array(z.string()).catch([]),
    lastMinute: z.record(z.string(), whole).catch({}),
  })
  .transform(({ at, ...rest }) => ({ startedAt: at, at, ...given(rest) }))
  .pipe(workerInstance)

export const workerInstanceKind: TelemetryKind<WorkerInstance> = {
  collection: 'workerInstances',
  schema: workerInstance,
  read: (document) => storedWorkerInstance.safeParse(document).data,
  idOf: ({ instance }) => instance.id,
  orderedBy: 'at',
  timeOf: ({ at }) => at,
}

/** Converts a document to its stored form. Throws StoreError `refused` if it could not be read back. */
export function kept<T>(schema: z.ZodType<T>, document: T): T {
  const parsed = schema.safeParse(document)
  if (!parsed.success) throw new StoreError('refused', 'a telemetry document is malformed', parsed.error)
  return parsed.data
}

/** Reads stored documents, each separately. */
export function toListing<T>(read: TelemetryKind<T>['read'], documents: readonly unknown[]): Listing<T> {
  const found = documents.flatMap((document) => read(document) ?? [])
  return { found, unreadable: documents.length - found.length }
}
