import { GOOGLE } from './identities.ts'

export interface IdTokenRequest {
  readonly audience: string
  /** Epoch milliseconds. */
  readonly nowMs: number
  readonly issuer?: string | undefined
  /** The service account's unique id. */
  readonly subject?: string | undefined
  /** Left out of the token when absent. */
  readonly email?: string
  readonly lifetimeSeconds?: number | undefined
}

/** The claims of a Google ID token of a service account. */
export function idTokenClaims({ audience, nowMs, email, ...request }: IdTokenRequest) {
  const issuedAt = Math.floor(nowMs / 1_000)
  const subject = request.subject ?? GOOGLE.subject
  return {
    iss: request.issuer ?? GOOGLE.issuer,
    sub: subject,
    azp: subject,
    ...(email === undefined ? {} : { email, email_verified: true }),
    aud: audience,
    iat: issuedAt,
    exp: issuedAt + (request.lifetimeSeconds ?? 3_600),
  }
}

/** The prefix of Google's access tokens. The rest is opaque at Google; here it is a JWT that another stand-in can read. */
export const ACCESS_TOKEN_PREFIX = 'ya29.'
export const ACCESS_TOKEN_LIFETIME_SECONDS = 3_599

export function accessTokenClaims(email: string, nowMs: number) {
  const issuedAt = Math.floor(nowMs / 1_000)
  return { email, iat: issuedAt, exp: issuedAt + ACCESS_TOKEN_LIFETIME_SECONDS }
}
