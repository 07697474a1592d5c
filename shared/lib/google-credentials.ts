import { type AuthClient, GoogleAuth, PassThroughClient } from 'google-auth-library'

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform'

/** Finds Application Default Credentials. Rejects if there are none. */
export function findCredentials(): Promise<AuthClient> {
  // Without a project the library runs gcloud to find one, which takes seconds; none is needed.
  return new GoogleAuth({ scopes: SCOPE, projectId: 'none' }).getClient()
}

/**
 * Loads credentials when a call needs them. If they are not found, the next call tries again.
 *
 * Google's clients look for them once, when they open. After a failure they never work again, and they end the process with
 * an unhandled rejection.
 */
export function credentialsByCall(project: string): GoogleAuth {
  return new GoogleAuth({ projectId: project, authClient: new CredentialsByCall() })
}

/** For an emulator, which wants no credentials: a client that has none would look for a metadata server first. */
export function withoutCredentials(project: string): GoogleAuth {
  return new GoogleAuth({ projectId: project, authClient: new PassThroughClient() })
}

class CredentialsByCall extends PassThroughClient {
  #found: Promise<AuthClient> | undefined

  override async getRequestHeaders(url?: string | URL): Promise<Headers> {
    this.#found ??= findCredentials()
    const found = await this.#found.catch((error: unknown) => {
      this.#found = undefined
      throw error
    })
    return found.getRequestHeaders(url)
  }
}
