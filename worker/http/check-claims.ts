import type { JWTPayload } from 'jose'
import { z } from 'zod'

const ISSUERS = ['https://accounts.google.com', 'accounts.google.com']

/** How long a token is accepted after its `exp`. */
export const EXPIRED_TOLERANCE_S = 30
/** Google's ID tokens are valid for an hour. */
const MAX_LIFE_S = 3_600
/** How far this machine's clock may lag behind Google's. */
const CLOCK_LAG_S = 300

const timesSchema = z.object({ exp: z.number(), iat: z.number() })

/**
 * Says what is wrong with the issuer, the audience or the times of a token; undefined: nothing. It does not check a
 * signature. `now`: epoch milliseconds.
 */
export function claimsProblem(claims: JWTPayload, audience: string, now: number): string | undefined {
  if (!ISSUERS.includes(claims.iss ?? '')) return unexpected('iss')
  if (![claims.aud].flat().includes(audience)) return unexpected('aud')
  const times = timesSchema.safeParse(claims)
  if (!times.success) return unexpected(String(times.error.issues[0]?.path[0]))
  const { exp, iat } = times.data
  const seconds = now / 1_000
  if (exp + EXPIRED_TOLERANCE_S <= seconds) return 'the token has expired'
  if (exp > seconds + MAX_LIFE_S + CLOCK_LAG_S) return "the token's exp is further ahead than Google's tokens are valid"
  if (iat > seconds + CLOCK_LAG_S) return "the token's iat is in the future"
  return undefined
}

/** Names a claim that is missing or has another value than it must have. */
export function unexpected(claim: string): string {
  return `the token's ${claim} is not the expected one`
}
