import { type AccessToken, adviseOn } from './renewal.ts'

/** The one token that every job of an instance shares. */
export interface AccessTokenSource {
  /** A token that is valid for at least 30 s. Rejects with TokenError, or with the signal's reason. */
  get(signal: AbortSignal): Promise<AccessToken>
  /** Says that Azure refused this token; a newer one is left alone. */
  refused(token: AccessToken): void
}

/**
 * Shares one token among all callers and fetches it once, however many ask.
 *
 * From 80 % of its life on a caller's request carries the renewal while everyone uses the token that is still good;
 * there is no timer, for Cloud Run stops the processor between requests. No caller's signal ends the shared fetch.
 */
export function createAccessTokenSource(fetchToken: () => Promise<AccessToken>, now: () => number): AccessTokenSource {
  let current: AccessToken | undefined
  let flight: Promise<AccessToken> | undefined

  function renew(): Promise<AccessToken> {
    flight ??= fetchToken()
      .then((token) => {
        current = token
        return token
      })
      .finally(() => {
        flight = undefined
      })
    return flight
  }

  return {
    async get(signal) {
      signal.throwIfAborted()
      const advice = adviseOn(current, now())
      if (current === undefined || advice === 'replace') return untilAborted(renew(), signal)
      // A renewal that fails while the token is still good delays nobody: the next caller tries again.
      if (advice === 'renew') renew().catch(() => undefined)
      return current
    },
    refused(token) {
      if (current?.value === token.value) current = undefined
    },
  }
}

async function untilAborted<T>(shared: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([shared, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
