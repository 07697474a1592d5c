import { GoogleAuth, PassThroughClient } from 'google-auth-library'

/** For an emulator, which wants no credentials: a client that has none would look for a metadata server first. */
export function withoutCredentials(project: string): GoogleAuth {
  return new GoogleAuth({ projectId: project, authClient: new PassThroughClient() })
}
