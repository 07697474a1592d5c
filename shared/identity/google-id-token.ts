import { decodeJwt } from 'jose'
import { z } from 'zod'
import type { Clock } from '../lib/clock.ts'
import type { Presented } from './token-error.ts'

/** The worker's name, signed by Google. */
export interface GoogleIdToken {
  readonly value: string
  /** The claims by which Entra knows the worker. */
  readonly presented: Presented
  /** Epoch milliseconds. */
  readonly expiresAt: number
}

/** The one ID token that all exchanges of an instance share. */
export interface GoogleIdTokens {
  /** A token that is valid even where this clock is five minutes slow. Rejects with TokenError. */
  get(): Promise<GoogleIdToken>
  /** Says that Entra found this token stale; a newer one is left alone. */
  drop(token: GoogleIdToken): void
}

/** A clock may be this far behind Google's without harm. */
const SPARE_MS = 5 * 60_000

/** Keeps one ID token until five minutes before its end, and fetches it once, however many ask. */
export function createGoogleIdTokens(fetchIdToken: () => Promise<GoogleIdToken>, now: Clock): GoogleIdTokens {
  let current: GoogleIdToken | undefined
  let flight: Promise<GoogleIdToken> | undefined

  async function renew(): Promise<GoogleIdToken> {
    try {
      current = await fetchIdToken()
      return current
    } finally {
      flight = undefined
    }
  }

  return {
    async get() {
      if (current !== undefined && now() < current.expiresAt - SPARE_MS) return current
      flight ??= renew()
      return flight
    },
    drop(token) {
      if (current?.value === token.value) current = undefined
    },
  }
}

const compactJws = z
  .string()
  .trim()
  .max(16_384)
  .regex(/^[\w-]+\.[\w-]+\.[\w-]+$/)

const claim = z.string().min(1).max(1_000)
const idClaims = z.object({ iss: claim, sub: claim, aud: claim, exp: z.number().positive() })

/**
 * Reads an ID token as Google gave it, without a look at its signature: that is Entra's to check.
 *
 * Throws where it is none, with nothing of the text in the message.
 */
export function readIdToken(text: unknown): GoogleIdToken {
  const value = compactJws.parse(text)
  const { iss, sub, aud, exp } = idClaims.parse(decodeJwt(value))
  return { value, presented: { issuer: iss, subject: sub, audience: aud }, expiresAt: exp * 1_000 }
}
