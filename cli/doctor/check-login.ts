import { openCaller } from '../../shared/identity/impersonated-id-token.ts'
import { TokenError } from '../../shared/identity/token-error.ts'
import type { Finding } from './step.ts'

/** Looks whether there is anybody to ask Google's databases as. */
export async function checkLogin(isWorker: boolean): Promise<Finding<true>> {
  try {
    await openCaller()
    const whose = isWorker
      ? 'the account this runs as'
      : "your own, for what is asked of Google from here on; not the worker's"
    return { ok: true, seen: `Application Default Credentials: ${whose}`, value: true }
  } catch (error) {
    if (!(error instanceof TokenError)) throw error
    return {
      ok: false,
      seen: 'there are no Application Default Credentials',
      expected: 'an account to ask Firestore and Pub/Sub as',
      fix: 'gcloud auth application-default login',
    }
  }
}
