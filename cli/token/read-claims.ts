import { decodeJwt } from 'jose'
import { z } from 'zod'

const MAX_SHOWN = 200

const word = z.string().transform((text) => text.slice(0, MAX_SHOWN))
const seconds = z.number().nonnegative()

/** What may be shown of a token, and nothing that could be used in its place. */
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

/** Reads a token's claims, without a look at its signature. Undefined where it has none that can be read. */
export function readClaims(token: string): Claims | undefined {
  try {
    return claims.safeParse(decodeJwt(token)).data
  } catch {
    return undefined
  }
}
