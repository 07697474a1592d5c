import type { AuthClient } from 'google-auth-library'
import { z } from 'zod'
import type { Clock } from '../lib/clock.ts'
import { findCredentials } from '../lib/google-credentials.ts'
import { withDeadline } from '../lib/with-deadline.ts'
import { type GoogleIdToken, readIdToken } from './google-id-token.ts'
import { readGoogleRefusal } from './google-refusal.ts'
import { TokenError, type TokenErrorDetails } from './token-error.ts'

/** Longer than for the metadata server, because the caller's credentials may have to be renewed over the internet first. */
const IMPERSONATION_TIMEOUT_MS = 5_000
const IAM_CREDENTIALS = 'https://iamcredentials.googleapis.com'

export interface Impersonation {
  /** The e-mail of the service account to impersonate. */
  readonly serviceAccount: string
  readonly audience: string
  /** The address of Google's IAM Credentials API. Absent: the public one. */
  readonly endpoint?: string | undefined
}

/**
 * Fetches an ID token of a service account. The caller impersonates it with Application Default Credentials.
 *
 * Rejects with TokenError after `timeoutMs` at the latest. Its code is `no_credentials` if the caller has none.
 */
export async function fetchImpersonatedIdToken(
  impersonation: Impersonation,
  now: Clock,
  timeoutMs = IMPERSONATION_TIMEOUT_MS,
): Promise<GoogleIdToken> {
  try {
    return readIdToken(await withDeadline(timeoutMs, (signal) => generateIdToken(impersonation, signal)))
  } catch (error) {
    if (error instanceof TokenError) throw error
    const details = readGoogleRefusal(error, now())
    throw new TokenError('google_id_token', describe(error, details, timeoutMs), details, error)
  }
}

/** Sends one POST. The library's `Impersonated` is not used: it prints a warning, sends four times and has no signal. */
async function generateIdToken(impersonation: Impersonation, signal: AbortSignal): Promise<unknown> {
  const { serviceAccount, audience, endpoint = IAM_CREDENTIALS } = impersonation
  const client = await openCaller()
  const { data } = await client.request<unknown>({
    url: `${endpoint}/v1/projects/-/serviceAccounts/${encodeURIComponent(serviceAccount)}:generateIdToken`,
    method: 'POST',
    data: { audience, includeEmail: true },
    retry: false,
    signal,
  })
  return z.object({ token: z.string() }).parse(data).token
}

/** Loads Application Default Credentials. Rejects with TokenError if there are none. */
export async function openCaller(): Promise<AuthClient> {
  try {
    return await findCredentials()
  } catch (error) {
    const message = 'there are no Application Default Credentials to speak for the service account with'
    throw new TokenError('google_id_token', message, { code: 'no_credentials' }, error)
  }
}

function describe(error: unknown, { httpStatus, code }: TokenErrorDetails, timeoutMs: number): string {
  if (error instanceof DOMException) return `Google gave no ID token for the service account within ${timeoutMs} ms`
  if (httpStatus !== undefined && httpStatus >= 400) {
    return `Google answered ${httpStatus}${code === undefined ? '' : ` ${code}`} for the service account`
  }
  return 'Google could not be reached for the service account, or answered something that is not an ID token'
}
