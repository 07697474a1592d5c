/** A token for Azure and the time it is good for. Times are epoch milliseconds. */
export interface AccessToken {
  readonly value: string
  readonly fetchedAt: number
  readonly expiresAt: number
}

/** A token with less than this left may expire on its way to Azure. */
const MIN_VALID_MS = 30_000
/** The share of a token's life after which it is renewed. */
const RENEW_AFTER = 0.8

/** use: it is good. renew: it is good, and time to fetch the next. replace: there is none to use. */
export type TokenAdvice = 'use' | 'renew' | 'replace'

/** Decides what a caller does with the token that is held. */
export function adviseOn(token: AccessToken | undefined, now: number): TokenAdvice {
  if (token === undefined || token.expiresAt - now < MIN_VALID_MS) return 'replace'
  const renewAt = token.fetchedAt + RENEW_AFTER * (token.expiresAt - token.fetchedAt)
  return now >= renewAt ? 'renew' : 'use'
}
