import type { PushAuth } from '../../shared/config/config.ts'
import type { HeaderReader } from './push-request.ts'

/**
 * If both are sent, Cloud Run checks the first, replaces that token's signature, and passes the second on unchanged: a caller
 * with the invoker role can write anything there.
 *
 * https://cloud.google.com/run/docs/authenticating/service-to-service
 */
const CHECKED_BY_CLOUD_RUN = ['x-serverless-authorization', 'authorization'] as const
/** Pub/Sub and Cloud Scheduler send this one. */
const SENT_BY_GOOGLE = ['authorization'] as const

/** A repeated header arrives joined with commas, which no token contains. */
const BEARER = /^Bearer ([\w.~+/-]+=*)$/i

/**
 * Finds the token that identifies the caller. `malformed`: one of the headers that can hold it is empty, is repeated or holds
 * something else. It is unknown which part of such a request was checked.
 */
export function presentedToken(
  headers: HeaderReader,
  mode: PushAuth['mode'],
): { token: string } | 'none' | 'malformed' {
  const names = mode === 'cloud-run-iam' ? CHECKED_BY_CLOUD_RUN : SENT_BY_GOOGLE
  const tokens = names.flatMap((name) => {
    const value = headers.get(name)
    return value === null ? [] : [BEARER.exec(value)?.[1]]
  })
  if (tokens.includes(undefined)) return 'malformed'
  const [token] = tokens
  return token === undefined ? 'none' : { token }
}
