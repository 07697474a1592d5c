/** The statuses of gRPC that errors are explained by: https://grpc.io/docs/guides/status-codes */
export const GRPC = {
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  unavailable: 14,
  unauthenticated: 16,
} as const

/** The gRPC status of an error of Google's clients. Undefined if there was no answer. */
export function statusOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

/** What the client retried last, and what its channel met. The client keeps both in its message only. */
const RETRIED = /retrying error Error: (\d+) /
const CHANNEL = /Last error: (?:Error: )?(.+?)\. Resolution note|(Name resolution failed)/
const NO_TOKEN = /Getting metadata from plugin failed/

/** Why a call has failed. */
export interface CallFailure {
  readonly status: unknown
  /** Such as `connect ECONNREFUSED 127.0.0.1:8080`. */
  readonly met: string | undefined
}

/** Reads the error of a call. The status is the one behind a retry that came to its end. */
export function readCallFailure(error: unknown): CallFailure {
  const message = error instanceof Error ? error.message : ''
  const [, last, unresolved] = CHANNEL.exec(message) ?? []
  const retried = RETRIED.exec(message)?.[1]
  const status = retried === undefined ? statusOf(error) : Number(retried)
  return { status: NO_TOKEN.test(message) ? GRPC.unauthenticated : status, met: last ?? unresolved }
}
