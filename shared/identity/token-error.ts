/** The two legs of federation: Google says who we are, Entra exchanges that for an Azure token. */
export type TokenLeg = 'google_id_token' | 'entra_exchange'

export interface TokenErrorDetails {
  readonly httpStatus?: number
  /** Entra's OAuth error: `invalid_client`. */
  readonly code?: string
  /** Entra's own numbers, as in AADSTS700213. */
  readonly aadsts?: readonly number[]
  /** Names the call to Microsoft's support. */
  readonly correlationId?: string
  /** Milliseconds to wait, as the service asked. */
  readonly retryAfterMs?: number
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
