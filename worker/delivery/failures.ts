import { TokenError } from '../../shared/identity/token-error.ts'
import type { Failure } from '../../shared/job/failures.ts'

/** Converts a missing token, or a resource that refuses tokens, to the job's failure. */
export function tokenFailure({ leg, message, details }: TokenError): Failure {
  const { code, httpStatus, correlationId, retryAfterMs, hint } = details
  return {
    kind: leg === 'azure_refused' ? 'unauthorized' : 'token',
    message,
    ...(code === undefined ? {} : { code }),
    ...(hint === undefined ? {} : { hint }),
    ...(httpStatus === undefined ? {} : { httpStatus }),
    ...(correlationId === undefined ? {} : { requestId: correlationId }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  }
}

/** Converts Azure's refusal of this caller or of its token. */
export function asTokenError({ message, code, hint, httpStatus, requestId }: Failure): TokenError {
  return new TokenError('azure_refused', message, {
    ...(code === undefined ? {} : { code }),
    ...(hint === undefined ? {} : { hint }),
    ...(httpStatus === undefined ? {} : { httpStatus }),
    ...(requestId === undefined ? {} : { correlationId: requestId }),
  })
}
