import {
  arrive,
  type DocumentedLimits,
  limitHeaders,
  type UsedQuota,
} from '../../../../local/azure-openai/documented-limits.ts'
import { readRetryAfter } from '../../../../shared/lib/retry-after.ts'
import { readRateLimit } from '../../../../shared/models/azure-openai/read-rate-limit.ts'
import type { RateLimit } from '../../../../shared/models/provider.ts'
import type { Random } from '../../support/seeded-random.ts'
import type { VirtualTime } from './virtual-time.ts'

/** A reply as a client reads it. */
export interface ServiceReply {
  readonly isRefused: boolean
  /** What refused it. */
  readonly limit?: 'quota' | 'capacity' | undefined
  readonly rateLimit?: RateLimit | undefined
  readonly retryAfterMs?: number | undefined
}

export interface QuotaService {
  /** Sends one request. The reply arrives later. */
  send(tokens: number, onReply: (reply: ServiceReply) => void): void
  readonly calls: { granted: number; refused: number; grantedTokens: number }
}

interface ServiceOptions {
  readonly limits: DocumentedLimits
  /** The share of replies whose headers are faulty. */
  readonly faultyHeaders: number
}

const TRAVEL_MS = { from: 5, to: 60 }
const ANSWER_MS = { from: 1_000, to: 4_000 }
const FAULTS = ['missing', 'minus one', 'zero', 'stale'] as const
const STALE_REPLIES = 200

/** One deployment behind the documented limits, for all instances. */
export function startQuotaService(
  time: VirtualTime,
  random: Random,
  { limits, faultyHeaders }: ServiceOptions,
): QuotaService {
  const calls = { granted: 0, refused: 0, grantedTokens: 0 }
  const earlier: Record<string, string>[] = []
  let used: UsedQuota | undefined

  function headersOf(said: Record<string, string>): Record<string, string> {
    earlier.push(said)
    if (earlier.length > STALE_REPLIES) earlier.shift()
    if (!random.chance(faultyHeaders)) return said
    const fault = random.pick(FAULTS)
    if (fault === 'missing') return {}
    if (fault === 'stale') return random.pick(earlier)
    const value = fault === 'zero' ? '0' : '-1'
    return Object.fromEntries(Object.keys(said).map((name) => [name, value]))
  }

  function onArrival(tokens: number, onReply: (reply: ServiceReply) => void): void {
    const now = time.now()
    const arrival = arrive(used, limits, tokens, now)
    used = arrival.used
    const { verdict } = arrival
    const isRefused = verdict.kind === 'refused'
    calls[isRefused ? 'refused' : 'granted'] += 1
    if (!isRefused) calls.grantedTokens += tokens
    const headers = new Headers(headersOf(limitHeaders(arrival, limits, now)))
    const reply = {
      isRefused,
      limit:
        verdict.kind === 'granted'
          ? undefined
          : verdict.reason === 'capacity'
            ? ('capacity' as const)
            : ('quota' as const),
      rateLimit: readRateLimit(headers),
      retryAfterMs: isRefused ? readRetryAfter((name) => headers.get(name), now) : undefined,
    }
    const answerMs = isRefused ? 0 : random.whole(ANSWER_MS.from, ANSWER_MS.to)
    time.after(answerMs + travelMs(), () => onReply(reply))
  }

  const travelMs = () => random.whole(TRAVEL_MS.from, TRAVEL_MS.to)
  return {
    calls,
    send: (tokens, onReply) => void time.after(travelMs(), () => onArrival(tokens, onReply)),
  }
}
