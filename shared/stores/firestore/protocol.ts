import firestore from '@google-cloud/firestore'
import { z } from 'zod'

/** Google's generated client: the one that lets us send writes as they are, each with its own answer. */
export type FirestoreClient = InstanceType<typeof firestore.v1.FirestoreClient>
type BatchWrite = NonNullable<Parameters<FirestoreClient['batchWrite']>[0]>
export type DocumentWrite = NonNullable<BatchWrite['writes']>[number]
export type Value = NonNullable<NonNullable<NonNullable<DocumentWrite['update']>['fields']>[string]>

export const FirestoreClient = firestore.v1.FirestoreClient

/** The gRPC status codes that are handled. https://grpc.io/docs/guides/status-codes */
export const STATUS = {
  ok: 0,
  invalidArgument: 3,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  failedPrecondition: 9,
} as const

const wholeNumber = z.coerce.number().int()

/** Seconds since the epoch and nanoseconds, as they come on the wire. */
export const timestamp = z.object({ seconds: wholeNumber, nanos: z.number().int().default(0) })
export type Timestamp = z.infer<typeof timestamp>

export function toEpochMs({ seconds, nanos }: Timestamp): number {
  return seconds * 1_000 + nanos / 1_000_000
}

export function fromEpochMs(ms: number): Timestamp {
  const seconds = Math.floor(ms / 1_000)
  return { seconds, nanos: (ms - seconds * 1_000) * 1_000_000 }
}

/** A time of the store as opaque text, because the store refuses a rounded time as a precondition. */
export function toRevision({ seconds, nanos }: Timestamp): string {
  return `${seconds}.${nanos}`
}

export function fromRevision(revision: string): Timestamp {
  const [seconds, nanos] = revision.split('.').map(Number)
  return { seconds: seconds ?? 0, nanos: nanos ?? 0 }
}
