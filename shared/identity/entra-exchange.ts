import { ClientAssertionCredential, type ClientAssertionCredentialOptions } from '@azure/identity'
import { z } from 'zod'
import { cloudOf } from '../config/azure-clouds.ts'
import type { Clock } from '../lib/clock.ts'
import { parseJson } from '../lib/parse-json.ts'
import { readRetryAfter } from '../lib/retry-after.ts'
import { withDeadline } from '../lib/with-deadline.ts'
import { readEntraRefusal } from './entra-refusal.ts'
import type { EntraSettings } from './federation-settings.ts'
import type { GoogleIdToken } from './google-id-token.ts'
import type { AccessToken } from './renewal.ts'
import { TokenError, type TokenErrorDetails } from './token-error.ts'

const EXCHANGE_TIMEOUT_MS = 5_000

type Policy = NonNullable<ClientAssertionCredentialOptions['additionalPolicies']>[number]['policy']

/** The parts of Entra's last answer that the library does not report. */
interface Seen {
  refusal?: TokenErrorDetails
  lifeMs?: number
}

export interface ExchangeDependencies {
  readonly now: Clock
  /** Aborts the exchange. */
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
}

/**
 * Exchanges a Google ID token for an Azure access token at Microsoft Entra ID.
 *
 * Each exchange uses a new credential object. A used one caches failures, and refuses to send for a minute after Entra
 * has recovered. Rejects with TokenError after `timeoutMs` at the latest, or when the signal aborts.
 */
export async function exchangeAtEntra(
  { value: idToken, presented }: Pick<GoogleIdToken, 'value' | 'presented'>,
  entra: EntraSettings,
  { now, signal: within, timeoutMs = EXCHANGE_TIMEOUT_MS }: ExchangeDependencies,
): Promise<AccessToken> {
  const seen: Seen = {}
  const getToken = (signal: AbortSignal) =>
    new ClientAssertionCredential(entra.tenantId, entra.clientId, async () => idToken, {
      authorityHost: entra.authorityHost,
      disableInstanceDiscovery: cloudOf('authority', new URL(entra.authorityHost)) === undefined,
      retryOptions: { maxRetries: 0 },
      additionalPolicies: [{ policy: observe(seen, signal, now), position: 'perRetry' }],
    }).getToken(entra.scope)
  const fetchedAt = now()
  try {
    const { token, expiresOnTimestamp } = await withDeadline(timeoutMs, getToken, within)
    // The lifetime is computed with the clock of this process only. The library's clock and Entra's may differ from it.
    const expiresAt = seen.lifeMs === undefined ? expiresOnTimestamp : fetchedAt + seen.lifeMs
    return { value: token, fetchedAt, expiresAt }
  } catch (error) {
    const message = describe(seen.refusal, error, timeoutMs)
    throw new TokenError('entra_exchange', message, { ...seen.refusal, presented }, error)
  }
}

/** The library's errors lack the status, the codes and Retry-After, and it does not forward a signal. */
function observe(seen: Seen, signal: AbortSignal, now: Clock): Policy {
  return {
    name: 'observe',
    async sendRequest(request, next) {
      request.abortSignal = signal
      const response = await next(request)
      const text = response.bodyAsText ?? ''
      const body = text.length > MAX_BODY_LENGTH ? undefined : parseJson(text)
      if (response.status >= 400) {
        const retryAfterMs = readRetryAfter((name) => response.headers.get(name), now())
        seen.refusal = {
          httpStatus: response.status,
          ...readEntraRefusal(body),
          // A wait of 0 counts as absent. The exchange then uses its default wait.
          ...(retryAfterMs ? { retryAfterMs } : {}),
        }
      } else {
        const { success, data } = granted.safeParse(body)
        if (success) seen.lifeMs = data.expires_in * 1_000
      }
      return response
    },
  }
}

const granted = z.object({ expires_in: z.coerce.number().int().positive() })

/** Entra's answers are much shorter. Longer answers are not read. */
const MAX_BODY_LENGTH = 100_000

function describe(refusal: TokenErrorDetails | undefined, error: unknown, timeoutMs: number): string {
  if (refusal !== undefined) {
    const numbers = refusal.aadsts?.map((number) => ` AADSTS${number}`).join('') ?? ''
    return `Entra answered ${refusal.httpStatus}${refusal.code === undefined ? '' : ` ${refusal.code}`}${numbers}`
  }
  if (error instanceof DOMException) return `Entra did not answer within ${timeoutMs} ms`
  return 'Entra could not be reached, or answered something that is not a token'
}
