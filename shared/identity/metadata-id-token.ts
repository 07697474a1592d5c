import { gaxios, gcpMetadata } from 'google-auth-library'
import type { Clock } from '../lib/clock.ts'
import { withDeadline } from '../lib/with-deadline.ts'
import { type GoogleIdToken, readIdToken } from './google-id-token.ts'
import { readGoogleRefusal } from './google-refusal.ts'
import { TokenError, type TokenErrorDetails } from './token-error.ts'

const METADATA_TIMEOUT_MS = 2_000
const IDENTITY_PATH = `${gcpMetadata.BASE_PATH}/instance/service-accounts/default/identity`

/**
 * Fetches the Google ID token of the service account this instance runs as, from the metadata server.
 *
 * `audience` is the audience of the federated credential. `host` is GCE_METADATA_HOST, if it is set. Rejects with
 * TokenError after `timeoutMs` at the latest.
 */
export async function fetchMetadataIdToken(
  audience: string,
  host: string | undefined,
  now: Clock,
  timeoutMs = METADATA_TIMEOUT_MS,
): Promise<GoogleIdToken> {
  try {
    return readIdToken(await withDeadline(timeoutMs, (signal) => getIdentity(audience, host, signal)))
  } catch (error) {
    const details = readGoogleRefusal(error, now())
    throw new TokenError('google_id_token', describe(error, details, timeoutMs), details, error)
  }
}

/**
 * Sends one GET. `Compute.fetchIdToken` is not used: it tries four times before it reports a 503, has no signal, and does
 * not encode the audience.
 */
async function getIdentity(audience: string, host: string | undefined, signal: AbortSignal): Promise<unknown> {
  const { data } = await gaxios.request<unknown>({
    url: new URL(IDENTITY_PATH, baseUrl(host)).href,
    params: { audience, format: 'full' },
    headers: gcpMetadata.HEADERS,
    responseType: 'text',
    retry: false,
    signal,
  })
  return data
}

/** As Google's libraries read GCE_METADATA_HOST: a host and port, or a URL. */
function baseUrl(host: string = gcpMetadata.HOST_ADDRESS): string {
  return /^https?:\/\//.test(host) ? host : `http://${host}`
}

function describe(error: unknown, { httpStatus }: TokenErrorDetails, timeoutMs: number): string {
  if (error instanceof DOMException) return `the metadata server gave no ID token within ${timeoutMs} ms`
  if (error instanceof gaxios.GaxiosError) {
    if (httpStatus !== undefined && httpStatus >= 400 && httpStatus !== 404)
      return `the metadata server answered ${httpStatus}`
    return 'the metadata server gave no ID token: is this running on Google Cloud with a service account?'
  }
  return 'the metadata server answered something that is not an ID token'
}
