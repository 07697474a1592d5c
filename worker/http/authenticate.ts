import { createRemoteJWKSet, decodeJwt, errors, type JWTPayload, jwtVerify } from 'jose'
import { z } from 'zod'
import type { PushAuth } from '../../shared/config/config.ts'
import type { Clock } from '../../shared/lib/clock.ts'
import { defined } from '../../shared/lib/defined.ts'
import { claimsProblem, EXPIRED_TOLERANCE_S, unexpected } from './check-claims.ts'
import { presentedToken } from './presented-token.ts'
import type { HeaderReader } from './push-request.ts'

type PushCheck = { readonly ok: true } | Refused

interface Refused {
  readonly ok: false
  /** The HTTP status of the response. */
  readonly status: 401 | 403 | 503
  readonly problem: string
  readonly expected: SeenClaims
  /** The claims that the token has, never the token itself. */
  readonly seen: SeenClaims
}

interface SeenClaims {
  readonly aud?: string
  readonly email?: string
}

/** Checks by the headers of a request who sends it. */
export type PushAuthenticator = (headers: HeaderReader) => Promise<PushCheck>

export interface AuthenticatorOptions {
  readonly pushAuth: PushAuth
  /** Google's public keys as a JWKS. */
  readonly certsUrl: string
  /** Whether this process runs on Cloud Run, which strips the signatures of tokens that it has checked. */
  readonly onCloudRun: boolean
  readonly now: Clock
}

const STRIPPED_SIGNATURE = 'SIGNATURE_REMOVED_BY_GOOGLE'
const CERTS_TIMEOUT_MS = 3_000
const REMEMBERED_TOKENS = 1_000

const pushClaims = z.object({ email: z.string(), email_verified: z.literal(true), exp: z.number() })

/**
 * Creates the check that a push comes from the subscription: Google's signature, the audience, the times and the service
 * account. On Cloud Run, Cloud Run checks the signature, and this function checks the claims.
 *
 * Pub/Sub sends the same token for an hour, so a verified token is cached until it expires.
 */
export function createPushAuthenticator({
  pushAuth,
  certsUrl,
  onCloudRun,
  now,
}: AuthenticatorOptions): PushAuthenticator {
  if (pushAuth.mode === 'off') return async () => ({ ok: true })
  if (pushAuth.mode === 'none')
    return async () => ({ ok: false, status: 403, problem: NO_PUSHES, expected: {}, seen: {} })
  const { mode, audience, serviceAccount } = pushAuth
  const keys = createRemoteJWKSet(new URL(certsUrl), { timeoutDuration: CERTS_TIMEOUT_MS })
  const verified = new Map<string, number>()
  const refuse = (status: Refused['status'], problem: string, seen: SeenClaims): Refused => ({
    ok: false,
    status,
    problem,
    expected: { aud: audience, email: serviceAccount },
    seen,
  })

  async function claimsOf(token: string): Promise<JWTPayload> {
    if (mode === 'cloud-run-iam' && onCloudRun && token.endsWith(`.${STRIPPED_SIGNATURE}`)) return decodeJwt(token)
    const currentDate = new Date(now())
    const options = { algorithms: ['RS256'], clockTolerance: EXPIRED_TOLERANCE_S, currentDate }
    const { payload } = await jwtVerify(token, keys, options)
    return payload
  }

  return async (headers) => {
    const presented = presentedToken(headers, mode)
    if (typeof presented === 'string') return refuse(401, NOT_ONE_TOKEN[presented], {})
    const { token } = presented
    if ((verified.get(token) ?? 0) > now()) return { ok: true }
    try {
      const claims = await claimsOf(token)
      const problem = claimsProblem(claims, audience, now())
      if (problem !== undefined) return refuse(401, problem, seenClaims(token))
      const known = pushClaims.safeParse(claims)
      if (!known.success || known.data.email !== serviceAccount) {
        return refuse(403, 'the token is not of the expected service account', seenClaims(token))
      }
      remember(verified, token, known.data.exp * 1_000)
      return { ok: true }
    } catch (error) {
      if (isCertsFailure(error)) return refuse(503, "Google's certificates cannot be fetched", {})
      return refuse(401, describe(error), seenClaims(token))
    }
  }
}

const NO_PUSHES = 'this worker accepts no pushes: it delivers the messages of its SQLite file itself'
const NOT_ONE_TOKEN = {
  none: 'the push carries no bearer token',
  malformed: 'an authorization header of the push is empty, is repeated or carries no bearer token',
} as const

function remember(verified: Map<string, number>, token: string, expiresAt: number): void {
  const [oldest] = verified.keys()
  if (oldest !== undefined && verified.size >= REMEMBERED_TOKENS) verified.delete(oldest)
  verified.set(token, expiresAt)
}

/** Returns a fixed text: the message of a library may quote the token. */
function describe(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'the token has expired'
  if (error instanceof errors.JWTClaimValidationFailed) return unexpected(error.claim)
  if (error instanceof errors.JWSSignatureVerificationFailed) return "the token's signature is not Google's"
  if (error instanceof errors.JWKSNoMatchingKey) return "the token is not signed with one of Google's keys"
  return 'the token cannot be read'
}

/** Whether the error concerns the certificates and not the token. */
function isCertsFailure(error: unknown): boolean {
  if (!(error instanceof errors.JOSEError)) return true
  return ['ERR_JOSE_GENERIC', 'ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID'].includes(error.code)
}

const MAX_SEEN_LENGTH = 200
const seenText = z.string().transform((value) => value.slice(0, MAX_SEEN_LENGTH))
const seenSchema = z.object({ aud: seenText.optional().catch(undefined), email: seenText.optional().catch(undefined) })

function seenClaims(token: string): SeenClaims {
  try {
    const { aud, email } = seenSchema.parse(decodeJwt(token))
    return defined({ aud, email })
  } catch {
    return {}
  }
}
