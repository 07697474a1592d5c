import type { RateLimit } from '../provider.ts'

/**
 * Reads what an answer's headers say about the deployment's quota; undefined if they say nothing.
 *
 * A header may be missing, or -1 if Azure does not know: https://learn.microsoft.com/azure/ai-services/openai/how-to/quota
 */
export function readRateLimit(headers: Pick<Headers, 'get'>): RateLimit | undefined {
  const known = Object.entries(NAMES).flatMap(([field, name]) => {
    const value = headers.get(`x-ratelimit-${name}`) ?? ''
    return /^\d{1,12}$/.test(value) ? [[field, Number(value)]] : []
  })
  return known.length === 0 ? undefined : Object.fromEntries(known)
}

const NAMES: Readonly<Record<keyof RateLimit, string>> = {
  limitRequests: 'limit-requests',
  limitTokens: 'limit-tokens',
  remainingRequests: 'remaining-requests',
  remainingTokens: 'remaining-tokens',
  resetRequests: 'reset-requests',
  resetTokens: 'reset-tokens',
}
