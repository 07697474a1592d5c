import { Compute } from 'google-auth-library'
import { z } from 'zod'
import { TokenError } from './token-error.ts'
import { withDeadline } from './with-deadline.ts'

const METADATA_TIMEOUT_MS = 2_000
const compactJws = z.string().regex(/^[\w-]+\.[\w-]+\.[\w-]+$/)

/**
 * Fetches the Google ID token of the service account this instance runs as, from the metadata server.
 *
 * `audience` is what the federated credential expects. Rejects with TokenError after `timeoutMs` at the latest.
 */
export async function fetchGoogleIdToken(audience: string, timeoutMs = METADATA_TIMEOUT_MS): Promise<string> {
  // The client puts the audience into the query string as it is, and takes no signal.
  const fetchToken = () => new Compute().fetchIdToken(encodeURIComponent(audience))
  try {
    return compactJws.parse(await withDeadline(timeoutMs, fetchToken))
  } catch (error) {
    throw new TokenError('google_id_token', describe(error, timeoutMs), statusOf(error), error)
  }
}

function describe(error: unknown, timeoutMs: number): string {
  if (error instanceof z.ZodError) return 'the metadata server answered something that is not an ID token'
  // The client tries again by itself, so an answer of 503 looks like none.
  if (error instanceof DOMException) return `the metadata server gave no ID token within ${timeoutMs} ms`
  return 'the metadata server gave no ID token: is this running on Google Cloud with a service account?'
}

const withStatus = z.object({ status: z.number().int() })

function statusOf(error: unknown): { httpStatus?: number } {
  const { success, data } = withStatus.safeParse(error)
  return success ? { httpStatus: data.status } : {}
}
