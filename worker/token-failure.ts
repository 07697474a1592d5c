import { TokenError, type TokenErrorDetails } from '../shared/identity/token-error.ts'
import type { Failure } from '../shared/job/failures.ts'

/** Says of a token that could not be had, or that Azure takes none of, what it means to the job. */
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

/** What Azure said when it refused a token, or this caller. */
export function refusalDetails({ code, hint, httpStatus, requestId }: Failure): TokenErrorDetails {
  return {
    ...(code === undefined ? {} : { code }),
    ...(hint === undefined ? {} : { hint }),
    ...(httpStatus === undefined ? {} : { httpStatus }),
    ...(requestId === undefined ? {} : { correlationId: requestId }),
  }
}

/** Azure's refusal of this caller, as a failure on the way to a token that it takes. */
export function asTokenError(failure: Failure): TokenError {
  return new TokenError('azure_refused', failure.message, refusalDetails(failure))
}
