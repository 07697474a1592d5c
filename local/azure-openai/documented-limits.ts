/**
 * The limits of a deployment as Azure documents them: requests are checked on windows of 1 s and 10 s, and tokens are
 * charged on arrival until the minute resets.
 *
 * https://learn.microsoft.com/azure/ai-services/openai/how-to/quota
 */
export interface DocumentedLimits {
  readonly requestsPerMinute: number
  readonly tokensPerMinute: number
  /** The length of a minute. A shorter one shortens all windows alike. */
  readonly minuteMs: number
  /** Whether a refused request uses quota, as Azure documents for failed calls. */
  readonly refusedUseQuota: boolean
  /** When Azure lowers the limits, and to what share of them. */
  readonly lowered: readonly (Span & { readonly share: number })[]
  /** When the region has no capacity, whatever the quota. */
  readonly noCapacity: readonly Span[]
}

/** Epoch milliseconds. It ends before `until`. */
interface Span {
  readonly from: number
  readonly until: number
}

/** What requests have used in each window. */
export interface UsedQuota {
  readonly second: Used
  readonly tenSeconds: Used
  readonly minute: Used
  readonly tokens: Used
}

interface Used {
  /** Epoch milliseconds. */
  readonly startedAt: number
  readonly amount: number
}

export interface Arrival {
  readonly used: UsedQuota
  readonly verdict:
    | { readonly kind: 'granted' }
    | {
        readonly kind: 'refused'
        readonly reason: 'requests' | 'tokens' | 'capacity'
        readonly retryAfterMs: number
      }
}

/** Charges one request on its arrival with its estimated tokens, which are never corrected, or refuses it. */
export function arrive(found: UsedQuota | undefined, limits: DocumentedLimits, tokens: number, now: number): Arrival {
  const present = usedAt(found, limits, now)
  const charged = addTo(present, tokens)
  if (isWithin(limits.noCapacity, now)) {
    // Azure was seen to name 20 s.
    return refusal('capacity', Math.ceil(limits.minuteMs / 3), present, charged, limits)
  }
  const exceeded = exceededBy(charged, effectiveLimits(limits, now))
  if (exceeded.length === 0) return { used: charged, verdict: { kind: 'granted' } }
  const lengths = windowLengths(limits)
  const endsIn = exceeded.map((name) => charged[name].startedAt + lengths[name] - now)
  const retryAfterMs = Math.ceil(Math.max(...endsIn))
  return refusal(exceeded.includes('tokens') ? 'tokens' : 'requests', retryAfterMs, present, charged, limits)
}

/** Azure's headers. The limits are those in force; what remains is of this minute, which resets in sixtieths of it. */
export function limitHeaders(
  { used, verdict }: Arrival,
  limits: DocumentedLimits,
  now: number,
): Record<string, string> {
  const { requests, tokens } = effectiveLimits(limits, now)
  const resetSeconds = (startedAt: number) =>
    String(Math.ceil((60 * (startedAt + limits.minuteMs - now)) / limits.minuteMs))
  const headers = {
    'x-ratelimit-limit-requests': String(requests),
    'x-ratelimit-limit-tokens': String(tokens),
    'x-ratelimit-remaining-requests': String(Math.max(0, requests - used.minute.amount)),
    'x-ratelimit-remaining-tokens': String(Math.max(0, tokens - used.tokens.amount)),
    'x-ratelimit-reset-requests': resetSeconds(used.minute.startedAt),
    'x-ratelimit-reset-tokens': resetSeconds(used.tokens.startedAt),
  }
  if (verdict.kind === 'granted') return headers
  const { retryAfterMs } = verdict
  return {
    ...headers,
    'retry-after': String(Math.ceil(retryAfterMs / 1_000)),
    'retry-after-ms': String(retryAfterMs),
  }
}

/** The limits in force, for each minute. */
export function effectiveLimits({ requestsPerMinute, tokensPerMinute, lowered }: DocumentedLimits, now: number) {
  const share = lowered.find((span) => isWithin([span], now))?.share ?? 1
  return { requests: Math.floor(requestsPerMinute * share), tokens: Math.floor(tokensPerMinute * share) }
}

type WindowName = keyof UsedQuota

function windowLengths({ minuteMs }: DocumentedLimits): Readonly<Record<WindowName, number>> {
  return { second: minuteMs / 60, tenSeconds: minuteMs / 6, minute: minuteMs, tokens: minuteMs }
}

/** What each window holds now. A window that is over holds nothing. */
function usedAt(found: UsedQuota | undefined, limits: DocumentedLimits, now: number): UsedQuota {
  const lengths = windowLengths(limits)
  const at = (name: WindowName): Used => {
    const startedAt = Math.floor(now / lengths[name]) * lengths[name]
    return found?.[name].startedAt === startedAt ? found[name] : { startedAt, amount: 0 }
  }
  return { second: at('second'), tenSeconds: at('tenSeconds'), minute: at('minute'), tokens: at('tokens') }
}

function addTo({ second, tenSeconds, minute, tokens }: UsedQuota, estimate: number): UsedQuota {
  const add = (used: Used, amount: number): Used => ({ ...used, amount: used.amount + amount })
  return {
    second: add(second, 1),
    tenSeconds: add(tenSeconds, 1),
    minute: add(minute, 1),
    tokens: add(tokens, estimate),
  }
}

/** A short window has its share of the minute, and at least one request. */
function exceededBy(used: UsedQuota, { requests, tokens }: ReturnType<typeof effectiveLimits>): readonly WindowName[] {
  const most = {
    second: Math.ceil(requests / 60),
    tenSeconds: Math.ceil(requests / 6),
    minute: requests,
    tokens,
  } satisfies Record<WindowName, number>
  return WINDOW_NAMES.filter((name) => used[name].amount > most[name])
}

const WINDOW_NAMES = ['second', 'tenSeconds', 'minute', 'tokens'] as const

function refusal(
  reason: 'requests' | 'tokens' | 'capacity',
  retryAfterMs: number,
  present: UsedQuota,
  charged: UsedQuota,
  { refusedUseQuota }: DocumentedLimits,
): Arrival {
  return { used: refusedUseQuota ? charged : present, verdict: { kind: 'refused', reason, retryAfterMs } }
}

function isWithin(spans: readonly Span[], now: number): boolean {
  return spans.some(({ from, until }) => from <= now && now < until)
}
