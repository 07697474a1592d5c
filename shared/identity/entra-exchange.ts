import { ClientAssertionCredential, type ClientAssertionCredentialOptions } from '@azure/identity'
import { z } from 'zod'
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

/**
 * Exchanges a Google ID token for an Azure access token at Microsoft Entra ID.
 *
 * A fresh credential each time: a used one remembers failures, and keeps refusing to send for a minute after Entra
 * has recovered. Rejects with TokenError after `timeoutMs` at the latest.
 */
export async function exchangeAtEntra(
  idToken: string,
  entra: EntraSettings,
  now: () => number,
  timeoutMs = EXCHANGE_TIMEOUT_MS,
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
    const { token, expiresOnTimestamp } = await withDeadline(timeoutMs, getToken)
    return { value: token, fetchedAt, expiresAt: expiresOnTimestamp }
  } catch (error) {
    throw new TokenError('entra_exchange', describe(seen.answer, error, timeoutMs), seen.answer, error)
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

const oauthError = z.object({
  error: z.string().max(100),
  error_codes: z.array(z.number()).optional(),
  correlation_id: z.string().max(100).optional(),
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

const MICROSOFT_HOSTS = ['login.microsoftonline.com', 'login.microsoftonline.us', 'login.partner.microsoftonline.cn']

function isMicrosoft(authorityHost: string): boolean {
  return MICROSOFT_HOSTS.includes(new URL(authorityHost).hostname)
}
