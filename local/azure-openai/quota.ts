/** The limits of a deployment in one window. */
export interface Quota {
  readonly requestsPerMinute: number
  readonly tokensPerMinute: number
  /** The length of the window; a demo uses a shorter one than a minute. */
  readonly minuteMs: number
}

/** What has been used since the window began. Times are epoch milliseconds. */
export interface QuotaWindow {
  readonly startedAt: number
  readonly requests: number
  readonly tokens: number
}

export type Charge =
  | { readonly kind: 'granted'; readonly window: QuotaWindow }
  | {
      readonly kind: 'refused'
      readonly window: QuotaWindow
      readonly exceeded: 'requests' | 'tokens'
      readonly retryAfterMs: number
    }

/**
 * Charges one request on its arrival, or rejects it until the window ends.
 *
 * The windows are fixed and aligned with the clock. A rejected request is not charged.
 */
export function charge(found: QuotaWindow | undefined, quota: Quota, tokens: number, now: number): Charge {
  const startedAt = now - (now % quota.minuteMs)
  const window = found?.startedAt === startedAt ? found : { startedAt, requests: 0, tokens: 0 }
  const retryAfterMs = startedAt + quota.minuteMs - now
  if (window.requests + 1 > quota.requestsPerMinute) {
    return { kind: 'refused', window, exceeded: 'requests', retryAfterMs }
  }
  if (window.tokens + tokens > quota.tokensPerMinute) {
    return { kind: 'refused', window, exceeded: 'tokens', retryAfterMs }
  }
  return { kind: 'granted', window: { startedAt, requests: window.requests + 1, tokens: window.tokens + tokens } }
}

/** Azure's quota headers: each answer has the remaining quota, and a rejection also has the time to retry. */
export function quotaHeaders(quota: Quota, charged: Charge): Record<string, string> {
  const { window } = charged
  const headers = {
    'x-ratelimit-limit-requests': String(quota.requestsPerMinute),
    'x-ratelimit-limit-tokens': String(quota.tokensPerMinute),
    'x-ratelimit-remaining-requests': String(quota.requestsPerMinute - window.requests),
    'x-ratelimit-remaining-tokens': String(quota.tokensPerMinute - window.tokens),
  }
  if (charged.kind === 'granted') return headers
  const retryAfter = String(Math.ceil(charged.retryAfterMs / 1_000))
  return { ...headers, 'retry-after': retryAfter, 'retry-after-ms': String(charged.retryAfterMs) }
}
