import type { TokenError } from '../shared/identity/token-error.ts'
import type { Failure } from '../shared/job/failures.ts'

/** Says of a token that could not be had what it means to the job. */
export function tokenFailure({ message, details }: TokenError): Failure {
  const { code, httpStatus, correlationId, retryAfterMs } = details
  return {
    kind: 'token',
    message,
    ...(code === undefined ? {} : { code }),
    ...(httpStatus === undefined ? {} : { httpStatus }),
    ...(correlationId === undefined ? {} : { requestId: correlationId }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  }
}
