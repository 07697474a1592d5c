import { openCaller } from '../../shared/identity/impersonated-id-token.ts'
import { TokenError } from '../../shared/identity/token-error.ts'
import type { Finding } from './step.ts'

/** Checks that there is a login for Firestore and Pub/Sub. */
export async function checkLogin(isWorker: boolean): Promise<Finding<true>> {
  try {
    await openCaller()
    const whose = isWorker
      ? 'the account of this process'
      : "your own, not the worker's; the next checks of Google Cloud use it"
    return { ok: true, seen: `Application Default Credentials: ${whose}`, value: true }
  } catch (error) {
    if (!(error instanceof TokenError)) throw error
    return {
      ok: false,
      seen: 'no Application Default Credentials were found',
      expected: 'a login for Firestore and Pub/Sub',
      fix: 'gcloud auth application-default login',
    }
  }
}
