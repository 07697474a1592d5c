import { Compute } from 'google-auth-library'
import { z } from 'zod'
import { TokenError } from './token-error.ts'
import { withDeadline } from './with-deadline.ts'

const METADATA_TIMEOUT_MS = 2_000
const compactJws = z.string().regex(/^[\w-]+\.[\w-]+\.[\w-]+$/)

/**
 * Fetches the Google ID token of the service account this instance runs as, from the metadata server.
 *
 * `audience` is what the federated credential expects. Rejects with TokenError after 2 s at the latest.
 */
export async function fetchGoogleIdToken(audience: string): Promise<string> {
  try {
    // The client puts the audience into the query string as it is.
    const answer = await withDeadline(new Compute().fetchIdToken(encodeURIComponent(audience)), METADATA_TIMEOUT_MS)
    return compactJws.parse(answer)
  } catch (error) {
    throw new TokenError('google_id_token', describe(error), statusOf(error), error)
  }
}

function describe(error: unknown): string {
  if (error instanceof z.ZodError) return 'the metadata server answered something that is not an ID token'
  if (error instanceof DOMException) return `the metadata server did not answer within ${METADATA_TIMEOUT_MS} ms`
  return 'the metadata server gave no ID token: is this running on Google Cloud with a service account?'
}

const withStatus = z.object({ status: z.number().int() })

function statusOf(error: unknown): { httpStatus?: number } {
  const { success, data } = withStatus.safeParse(error)
  return success ? { httpStatus: data.status } : {}
}
