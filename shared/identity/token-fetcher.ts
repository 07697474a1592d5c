import type { TokenSource } from '../config/setting-values.ts'
import type { Clock } from '../lib/clock.ts'
import { fetchAzureCliToken } from './azure-cli-token.ts'
import { createFederatedTokenFetcher, type TokenFetcher } from './federated-token.ts'
import type { FederationSettings } from './federation-settings.ts'
import { createGoogleIdTokens, type GoogleIdToken } from './google-id-token.ts'
import { fetchImpersonatedIdToken } from './impersonated-id-token.ts'
import { fetchMetadataIdToken } from './metadata-id-token.ts'

/** Where tokens come from. */
export interface TokenSettings {
  readonly federation: FederationSettings
  readonly tokenSource: TokenSource
  /** GCE_METADATA_HOST, if it is set. */
  readonly metadataHost: string | undefined
  /** The address of Google's IAM Credentials API. Absent: the public one. */
  readonly iamEndpoint?: string
}

/** Creates the token fetcher that TOKEN_SOURCE names. */
export function openTokenFetcher(settings: TokenSettings, now: Clock): TokenFetcher {
  const { federation, tokenSource } = settings
  if (tokenSource.kind === 'azure-cli') {
    return (scope = federation.scope) => fetchAzureCliToken({ tenantId: federation.tenantId, scope }, now)
  }
  const idTokens = createGoogleIdTokens(openIdTokenFetcher(settings, tokenSource, now), now)
  return createFederatedTokenFetcher(federation, idTokens, now)
}

/** Chooses the source of the Google ID token. The source rejects with TokenError. */
export function openIdTokenFetcher(
  { federation: { audience }, metadataHost, iamEndpoint: endpoint }: TokenSettings,
  source: Exclude<TokenSource, { kind: 'azure-cli' }>,
  now: Clock,
): () => Promise<GoogleIdToken> {
  if (source.kind === 'metadata-server') return () => fetchMetadataIdToken(audience, metadataHost, now)
  const { serviceAccount } = source
  return () => fetchImpersonatedIdToken({ serviceAccount, audience, endpoint }, now)
}
