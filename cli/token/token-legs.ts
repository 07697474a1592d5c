import { fetchAzureCliToken } from '../../shared/identity/azure-cli-token.ts'
import { exchangeAtEntra } from '../../shared/identity/entra-exchange.ts'
import type { GoogleIdToken } from '../../shared/identity/google-id-token.ts'
import type { AccessToken } from '../../shared/identity/renewal.ts'
import { openIdTokenFetcher, type TokenSettings } from '../../shared/identity/token-fetcher.ts'
import type { Clock } from '../../shared/lib/clock.ts'

/** How to get each of the worker's two tokens. All functions reject with TokenError. */
export type TokenLegs =
  | {
      readonly kind: 'federated'
      google(): Promise<GoogleIdToken>
      entra(idToken: GoogleIdToken): Promise<AccessToken>
    }
  /** The developer's own login, without a Google token. */
  | { readonly kind: 'azure-cli'; azure(): Promise<AccessToken> }

/** `now`: epoch milliseconds. */
export function openTokenLegs(settings: TokenSettings, now: Clock): TokenLegs {
  const { federation, tokenSource } = settings
  if (tokenSource.kind === 'azure-cli') return { kind: 'azure-cli', azure: () => fetchAzureCliToken(federation, now) }
  return {
    kind: 'federated',
    google: openIdTokenFetcher(settings, tokenSource, now),
    entra: (idToken) => exchangeAtEntra(idToken, federation, { now }),
  }
}
