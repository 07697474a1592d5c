import type { TokenLeg } from '../job/token-leg.ts'
/** The claims by which Entra identifies a caller. A federated credential names all three. */
export interface Presented {
  readonly issuer: string
  readonly subject: string
  readonly audience: string
}

export interface TokenErrorDetails {
  readonly httpStatus?: number
  /** The vendor's own code: Entra's OAuth error (`invalid_client`), or Azure's (`PermissionDenied`). */
  readonly code?: string
  /** Entra's own numbers, as in AADSTS700213. */
  readonly aadsts?: readonly number[]
  /** Entra said that it could not fetch the keys with which the ID token's issuer signs. */
  readonly keysUnreadable?: true
  /** Names the call to Microsoft's support. */
  readonly correlationId?: string
  /** Milliseconds to wait, as the service asked. */
  readonly retryAfterMs?: number
  /** What Entra was shown. */
  readonly presented?: Presented
  /** How to fix it. Absent before the error is diagnosed. */
  readonly hint?: string
}

/** No token, and which leg failed. Its message holds no token and no assertion. */
export class TokenError extends Error {
  override readonly name = 'TokenError'
  readonly leg: TokenLeg
  readonly details: TokenErrorDetails

  constructor(leg: TokenLeg, message: string, details: TokenErrorDetails = {}, cause?: unknown) {
    super(message, { cause })
    this.leg = leg
    this.details = details
  }
}

/**
 * Why there is no token.
 *
 * - passing: it ends by itself
 * - spreading: a new setting may take minutes to reach all of Entra or Azure; after that time it is `configuration`
 * - stale: the Google ID token is too old, or signed with a key that is gone; a fresh one may be accepted
 * - configuration: a person has to fix a setting
 */
export type FailureNature = 'passing' | 'spreading' | 'stale' | 'configuration'

export interface Diagnosis {
  readonly nature: FailureNature
  /** What to do about it, in plain words with the very values to set; one paragraph, and no secret in it. */
  readonly hint: string
}

export const configuration = (hint: string): Diagnosis => ({ nature: 'configuration', hint })
export const passing = (hint: string): Diagnosis => ({ nature: 'passing', hint })
