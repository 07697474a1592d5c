import { decodeJwt } from 'jose'
import { z } from 'zod'

const MAX_SHOWN = 200

const word = z.string().transform((text) => text.slice(0, MAX_SHOWN))
const seconds = z.number().nonnegative()

/** The claims that may be printed. The token cannot be rebuilt from them. */
const claims = z.object({
  iss: word.optional(),
  sub: word.optional(),
  aud: word.optional(),
  email: word.optional(),
  tid: word.optional(),
  appid: word.optional(),
  azp: word.optional(),
  oid: word.optional(),
  /** Seconds since 1970. */
  iat: seconds.optional(),
  exp: seconds.optional(),
})
export type Claims = z.infer<typeof claims>

/** Reads a token's claims without checking its signature. Undefined if they cannot be read. */
export function readClaims(token: string): Claims | undefined {
  try {
    return claims.safeParse(decodeJwt(token)).data
  } catch {
    return undefined
  }
}
