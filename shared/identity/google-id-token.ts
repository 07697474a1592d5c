import { decodeJwt } from 'jose'
import { z } from 'zod'
import type { Clock } from '../lib/clock.ts'
import type { Presented } from './token-error.ts'

/** The worker's ID token, signed by Google. */
export interface GoogleIdToken {
  readonly value: string
  /** The claims by which Entra identifies the worker. */
  readonly presented: Presented
  /** Epoch milliseconds. */
  readonly expiresAt: number
}

/** Provides the ID token that all exchanges of an instance share. */
export interface GoogleIdTokens {
  /** Resolves with a token that is valid even if this clock is five minutes slow. Rejects with TokenError. */
  get(): Promise<GoogleIdToken>
  /** Reports that Entra refused this token as stale. A newer token is kept. */
  drop(token: GoogleIdToken): void
}

/** The clock may be this far behind Google's clock. */
const SPARE_MS = 5 * 60_000

/** Keeps one ID token until five minutes before it expires. Concurrent callers share one fetch. */
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
 * Reads Google's ID token. It does not check the signature, because Entra does.
 *
 * Throws if the text is not an ID token. The message contains nothing of the text.
 */
export function readIdToken(text: unknown): GoogleIdToken {
  const value = compactJws.parse(text)
  const { iss, sub, aud, exp } = idClaims.parse(decodeJwt(value))
  return { value, presented: { issuer: iss, subject: sub, audience: aud }, expiresAt: exp * 1_000 }
}
