import { ClientAssertionCredential, type ClientAssertionCredentialOptions } from '@azure/identity'
import { z } from 'zod'
import { isMicrosoft } from '../azure-clouds.ts'
import type { GoogleIdToken } from './google-id-token.ts'
import type { AccessToken } from './renewal.ts'
import { TokenError, type TokenErrorDetails } from './token-error.ts'
import { withDeadline } from './with-deadline.ts'

const EXCHANGE_TIMEOUT_MS = 5_000

export interface EntraSettings {
  readonly tenantId: string
  readonly clientId: string
  readonly authorityHost: string
  readonly scope: string
}

type Policy = NonNullable<ClientAssertionCredentialOptions['additionalPolicies']>[number]['policy']

/** The details of Entra's last refusal. */
interface Seen {
  answer?: TokenErrorDetails
}

/** What an exchange takes from the world around it. */
export interface ExchangeSurroundings {
  readonly now: () => number
  /** Ends the exchange before its time. */
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
}

/**
 * Exchanges a Google ID token for an Azure access token at Microsoft Entra ID.
 *
 * A fresh credential each time: a used one remembers failures, and keeps refusing to send for a minute after Entra
 * has recovered. Rejects with TokenError after `timeoutMs` at the latest, or when the signal aborts.
 */
export async function exchangeAtEntra(
  { value: idToken, presented }: Pick<GoogleIdToken, 'value' | 'presented'>,
  entra: EntraSettings,
  { now, signal: within, timeoutMs = EXCHANGE_TIMEOUT_MS }: ExchangeSurroundings,
): Promise<AccessToken> {
  const seen: Seen = {}
  const getToken = (signal: AbortSignal) =>
    new ClientAssertionCredential(entra.tenantId, entra.clientId, async () => idToken, {
      authorityHost: entra.authorityHost,
      disableInstanceDiscovery: !isMicrosoft(entra.authorityHost),
      retryOptions: { maxRetries: 0 },
      additionalPolicies: [{ policy: watch(seen, signal), position: 'perRetry' }],
    }).getToken(entra.scope)
  const fetchedAt = now()
  try {
    const { token, expiresOnTimestamp } = await withDeadline(timeoutMs, getToken, within)
    return { value: token, fetchedAt, expiresAt: expiresOnTimestamp }
  } catch (error) {
    const message = describe(seen.answer, error, timeoutMs)
    throw new TokenError('entra_exchange', message, { ...seen.answer, presented }, error)
  }
}

/** The library's own errors have lost the status, the codes and Retry-After, and it passes no signal on. */
function watch(seen: Seen, signal: AbortSignal): Policy {
  return {
    name: 'watch',
    async sendRequest(request, next) {
      request.abortSignal = signal
      const response = await next(request)
      if (response.status >= 400) {
        const retryAfterS = Number(response.headers.get('retry-after'))
        seen.answer = {
          httpStatus: response.status,
          ...readError(response.bodyAsText ?? ''),
          ...(retryAfterS > 0 ? { retryAfterMs: retryAfterS * 1_000 } : {}),
        }
      }
      return response
    },
  }
}

const name = z.string().regex(/^[\w.-]{1,100}$/)
const oauthError = z.object({
  error: name,
  error_codes: z.array(z.number()).max(20).optional(),
  correlation_id: name.optional(),
})

function readError(body: string): TokenErrorDetails {
  let json: unknown
  try {
    json = JSON.parse(body)
  } catch {
    return {}
  }
  const parsed = oauthError.safeParse(json)
  if (!parsed.success) return {}
  const { error, error_codes, correlation_id } = parsed.data
  return {
    code: error,
    ...(error_codes === undefined ? {} : { aadsts: error_codes }),
    ...(correlation_id === undefined ? {} : { correlationId: correlation_id }),
  }
}

function describe(answer: TokenErrorDetails | undefined, error: unknown, timeoutMs: number): string {
  if (answer !== undefined) {
    const numbers = answer.aadsts?.map((number) => ` AADSTS${number}`).join('') ?? ''
    return `Entra answered ${answer.httpStatus}${answer.code === undefined ? '' : ` ${answer.code}`}${numbers}`
  }
  if (error instanceof DOMException) return `Entra did not answer within ${timeoutMs} ms`
  return 'Entra could not be reached, or answered something that is not a token'
}
