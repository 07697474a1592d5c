import { MAX_WAIT_MS } from '../../job/failures.ts'
import { spreadWait } from '../../lib/retry-after.ts'
import {
  begin,
  cutConcurrency,
  end,
  firstConcurrency,
  growConcurrency,
  hasRoom,
  shiftConcurrency,
} from './concurrency.ts'
import { followUse } from './follow-use.ts'
import {
  believeLimit,
  correctLane,
  cutLane,
  firstLane,
  growLane,
  holdLane,
  onBurst,
  presentRate,
  rephase,
  shiftLane,
  takeFromLane,
  waitForLane,
} from './lane.ts'
import type { Need, Pace, PaceReply, PaceReport, PaceSettings, Turn } from './pace.ts'

/** A wait without a time of its own. The end of another request may come sooner. */
const POLL_MS = 100
const FIRST_PAUSE_MS = 1_000
const MOST_PAUSE_MS = 32_000
const FIRST_RPM = 1_200
const FIRST_TPM = 1_000_000
/** However often it is refused, an instance asks this much where no limit is known. */
const LEAST_RPM = 1
const LEAST_TPM = 1_000
const MOST_TOKENS = 1e9
const SMALL_REQUEST_TOKENS = 1_000

export function firstPace({ rpm, tpm, maxInstances, settling }: PaceSettings, now: number): Pace {
  const isSparse =
    maxInstances !== undefined && (isBelow(rpm, maxInstances) || isBelow(tpm, maxInstances * SMALL_REQUEST_TOKENS))
  const requests = { configured: rpm, firstRate: FIRST_RPM, leastRate: LEAST_RPM, windowsMs: [1_000, 10_000] }
  const tokens = { configured: tpm, firstRate: FIRST_TPM, leastRate: LEAST_TPM, windowsMs: [60_000] }
  return {
    settling,
    requests: firstLane({ ...requests, maxInstances, isSparse }, now),
    tokens: firstLane({ ...tokens, maxInstances, isSparse }, now),
    concurrency: firstConcurrency(),
    pausedUntil: now,
    refusedInRow: 0,
    at: now,
  }
}

function isBelow(limit: number | undefined, amount: number): boolean {
  return limit !== undefined && limit < amount
}

/** Takes what a request needs, or says for how long to wait. `jitter`: 0 to 1. */
export function take(before: Pace, need: Need, now: number, jitter: number): [Pace, Turn] {
  const pace = atTime(before, now)
  const tokens = tokensOf(need.tokens)
  const waitMs = Math.max(
    pace.pausedUntil - now,
    waitForLane(pace.requests, 1, now),
    waitForLane(pace.tokens, tokens, now),
    hasRoom(pace.concurrency) ? 0 : spreadWait(POLL_MS, jitter),
  )
  if (waitMs > 0) return [pace, { kind: 'wait', forMs: Math.min(Math.ceil(waitMs), MAX_WAIT_MS) }]
  const taken = {
    ...pace,
    requests: takeFromLane(pace.requests, 1, now),
    tokens: takeFromLane(pace.tokens, tokens, now),
    concurrency: begin(pace.concurrency),
  }
  return [taken, { kind: 'go' }]
}

/** Learns from the reply to a request that was taken. `jitter`: 0 to 1. */
export function onReply(before: Pace, reply: PaceReply, now: number, jitter: number): Pace {
  const pace = settle(believe(atTime(before, now), reply, now), reply, now)
  if (reply.refusal !== undefined) return onRefusal(pace, reply, reply.refusal, now, jitter)
  if (reply.isFault === true) return { ...pace, concurrency: cutConcurrency(pace.concurrency, now) }
  return {
    ...pace,
    refusedInRow: 0,
    requests: growLane(pace.requests, now),
    tokens: growLane(pace.tokens, now),
    concurrency: growConcurrency(pace.concurrency),
  }
}

/** Gives back what was taken for a request that was not sent. */
export function release(before: Pace, need: Need, now: number): Pace {
  const pace = atTime(before, now)
  return {
    ...pace,
    requests: correctLane(pace.requests, 1, 0, now),
    tokens: correctLane(pace.tokens, tokensOf(need.tokens), 0, now),
    concurrency: end(pace.concurrency),
  }
}

/** For logs, telemetry and the doctor. */
export function describePace({ requests, tokens, concurrency, pausedUntil, refusedBy }: Pace, now: number): PaceReport {
  const limits = (rpm: number | undefined, tpm: number | undefined) => ({
    ...(rpm !== undefined && { rpm }),
    ...(tpm !== undefined && { tpm }),
  })
  return {
    configured: limits(requests.configured, tokens.configured),
    effective: limits(requests.limit, tokens.limit),
    rate: { rpm: presentRate(requests), tpm: presentRate(tokens) },
    mostUnderWay: Math.floor(concurrency.most),
    underWay: concurrency.underWay,
    pausedForMs: Math.max(0, pausedUntil - now),
    ...(refusedBy !== undefined && { refusedBy }),
  }
}

function onRefusal(
  pace: Pace,
  { need, rateLimit = {}, sentAt }: PaceReply,
  { limit, retryAfterMs }: NonNullable<PaceReply['refusal']>,
  now: number,
  jitter: number,
): Pace {
  const inRow = pace.pausedUntil > (sentAt ?? now) ? pace.refusedInRow : pace.refusedInRow + 1
  const asked =
    retryAfterMs !== undefined && retryAfterMs >= 0
      ? retryAfterMs
      : Math.min(MOST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (inRow - 1))
  const pausedUntil = Math.max(pace.pausedUntil, now + Math.ceil(spreadWait(Math.min(asked, MAX_WAIT_MS / 2), jitter)))
  const paused = { ...pace, pausedUntil, refusedBy: limit, refusedInRow: inRow }
  if (limit === 'capacity') return { ...paused, concurrency: cutConcurrency(pace.concurrency, now) }
  const isBurst = retryAfterMs !== undefined && retryAfterMs <= 1_000
  const isTokens = rateLimit.remainingTokens !== undefined && rateLimit.remainingTokens < need.tokens
  const requests = isBurst
    ? onBurst(pace.requests, jitter, pausedUntil)
    : isTokens
      ? pace.requests
      : rephase(cutLane(pace.requests, 0.9, now), jitter, pausedUntil)
  const tokens = isBurst ? pace.tokens : cutLane(holdLane(pace.tokens, pausedUntil), 0.95, now)
  return { ...paused, requests, tokens }
}

function believe(pace: Pace, { rateLimit = {}, sentAt = pace.at }: PaceReply, now: number): Pace {
  const at = Math.min(sentAt, now)
  const { limitRequests, remainingRequests, resetRequests, limitTokens, remainingTokens, resetTokens } = rateLimit
  const requests = believeLimit(pace.requests, limitRequests, now)
  const tokens = believeLimit(pace.tokens, limitTokens, now)
  return {
    ...pace,
    requests: followUse(requests, { amount: remainingRequests, resetSeconds: resetRequests, at }, now),
    tokens: followUse(tokens, { amount: remainingTokens, resetSeconds: resetTokens, at }, now),
  }
}

/** The request is no longer under way. Only a provider that charges by use corrects its estimate. */
function settle(pace: Pace, { need, usedTokens, refusal }: PaceReply, now: number): Pace {
  const concurrency = end(pace.concurrency)
  if (pace.settling === 'on-arrival') return { ...pace, concurrency }
  const estimated = tokensOf(need.tokens)
  const used = refusal !== undefined ? 0 : tokensOf(usedTokens ?? estimated)
  return { ...pace, concurrency, tokens: correctLane(pace.tokens, estimated, used, now) }
}

/** The clock was set back: every time of the state moves with it, so that nothing waits for the difference. */
function atTime(pace: Pace, now: number): Pace {
  const byMs = now - pace.at
  if (byMs >= 0) return { ...pace, at: now }
  return {
    ...pace,
    at: now,
    pausedUntil: pace.pausedUntil + byMs,
    requests: shiftLane(pace.requests, byMs),
    tokens: shiftLane(pace.tokens, byMs),
    concurrency: shiftConcurrency(pace.concurrency, byMs),
  }
}

/** What a caller may pass by mistake is no number of tokens. */
function tokensOf(tokens: number): number {
  return Number.isFinite(tokens) ? Math.min(Math.max(0, tokens), MOST_TOKENS) : 0
}
