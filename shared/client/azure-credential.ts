import { type AccessTokenSource, createAccessTokenSource } from '../identity/access-token-source.ts'
import type { AccessToken } from '../identity/renewal.ts'
import { openTokenFetcher, type TokenSettings } from '../identity/token-fetcher.ts'
import type { Clock } from '../lib/clock.ts'
import { diagnose } from '../models/azure-openai/explain-refused-token.ts'

/** Provides tokens for any scope. Callers of the same scope share one token. */
export interface AzureTokens {
  /** Rejects with TokenError, or with the signal's reason. */
  get(scope: string, signal: AbortSignal): Promise<AccessToken>
}

export interface AzureTokenDependencies {
  readonly now: Clock
  /** 0 to 1. */
  readonly random: () => number
}

/** Opens one source for each requested scope. The sources share the ID token. */
export function openAzureTokens(settings: TokenSettings, { now, random }: AzureTokenDependencies): AzureTokens {
  const fetchToken = openTokenFetcher(settings, now)
  const sources = new Map<string, AccessTokenSource>()

  function open(scope: string): AccessTokenSource {
    const federation = { ...settings.federation, scope }
    const source = createAccessTokenSource({
      fetchToken: () => fetchToken(scope),
      diagnose: (error) => diagnose(error, federation),
      now,
      random,
    })
    sources.set(scope, source)
    return source
  }

  return { get: (scope, signal) => (sources.get(scope) ?? open(scope)).get(signal) }
}
