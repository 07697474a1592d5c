import { type EntraSettings, exchangeAtEntra } from './entra-exchange.ts'
import { fetchGoogleIdToken } from './google-id-token.ts'
import type { AccessToken } from './renewal.ts'

export interface FederationSettings extends EntraSettings {
  /** The audience that the federated credential in Entra expects. */
  readonly audience: string
}

/** Gets an Azure token without a secret: the instance's Google identity, exchanged at Entra. Rejects with TokenError. */
export async function fetchFederatedToken(federation: FederationSettings, now: () => number): Promise<AccessToken> {
  const idToken = await fetchGoogleIdToken(federation.audience)
  return exchangeAtEntra(idToken, federation, now)
}
