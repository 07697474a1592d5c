import type { TokenLeg } from '../job/token-leg.ts'
import type { Clock } from '../lib/clock.ts'
import { withDeadline } from '../lib/with-deadline.ts'
import { exchangeAtEntra } from './entra-exchange.ts'
import { explainEntra } from './explain-entra.ts'
import type { FederationSettings } from './federation-settings.ts'
import type { GoogleIdTokens } from './google-id-token.ts'
import type { AccessToken } from './renewal.ts'
import { TokenError } from './token-error.ts'

const WHOLE_TIMEOUT_MS = 12_000

/** Fetches a token: for Azure OpenAI, or for another scope. Rejects with TokenError. */
export type TokenFetcher = (scope?: string) => Promise<AccessToken>

/**
 * Gets Azure tokens without a secret: the worker's Google identity, exchanged at Entra.
 *
 * If Entra reports a stale ID token, it is dropped and a fresh one is tried at once. If that one is refused too, each later
 * fetch tries once. A fetch ends after `timeoutMs` at the latest.
 */
export function createFederatedTokenFetcher(
  federation: FederationSettings,
  idTokens: GoogleIdTokens,
  now: Clock,
  timeoutMs = WHOLE_TIMEOUT_MS,
): TokenFetcher {
  let hasFreshFailed = false
  const isStale = (error: unknown) =>
    error instanceof TokenError &&
    error.leg === 'entra_exchange' &&
    explainEntra(error.details, federation).nature === 'stale'

  async function exchange(scope: string, signal: AbortSignal, begin: (leg: TokenLeg) => void): Promise<AccessToken> {
    begin('google_id_token')
    const idToken = await idTokens.get()
    begin('entra_exchange')
    try {
      const token = await exchangeAtEntra(idToken, { ...federation, scope }, { now, signal })
      hasFreshFailed = false
      return token
    } catch (error) {
      if (isStale(error)) idTokens.drop(idToken)
      throw error
    }
  }

  return async (scope = federation.scope) => {
    let leg: TokenLeg = 'google_id_token'
    const tryOnce = (signal: AbortSignal) =>
      exchange(scope, signal, (begun) => {
        leg = begun
      })
    const tryTwice = async (signal: AbortSignal) => {
      try {
        return await tryOnce(signal)
      } catch (error) {
        if (hasFreshFailed || !isStale(error)) throw error
        hasFreshFailed = true
        return await tryOnce(signal)
      }
    }
    try {
      return await withDeadline(timeoutMs, tryTwice)
    } catch (error) {
      if (error instanceof TokenError) throw error
      throw new TokenError(leg, `no token came within ${timeoutMs} ms`, {}, error)
    }
  }
}
