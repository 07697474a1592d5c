import { MAX_WAIT_MS } from '../../job/failures.ts'
import { addToWindow, emptyWindow, shiftWindow, sumSince, takeFromWindow, type Window, waitForRoom } from './window.ts'

/**
 * The rate of one deployment in one instance, in requests or in tokens. Rates are per minute; times are epoch milliseconds.
 *
 * What is taken is spread evenly: a burst would meet the short windows of the provider, and those of other instances.
 */
export interface Lane {
  /** What the provider allows all instances together; undefined until it is known. */
  readonly limit: number | undefined
  /** When the provider last reported a limit. */
  readonly limitAt: number
  /** The limit that the operator has set, if one. It is never exceeded. */
  readonly configured: number | undefined
  /** How many instances share the limit at most, if it is known. */
  readonly maxInstances: number | undefined
  /** The rate of this instance, and what refusals do not lower it below. */
  readonly rate: number
  readonly leastRate: number
  /** No more is taken before this. It falls behind if too little is taken, and what is behind may be caught up. */
  readonly due: number
  readonly windows: readonly Window[]
  /** Set until the first sign of the limit: the rate grows fast. */
  readonly isStarting: boolean
  /** When the rate was last grown, and when it was last cut. */
  readonly grownAt: number
  readonly cutAt: number
  /** What the provider said remains of its minute, and when. */
  readonly remaining: Reading | undefined
  /** The rate of all instances together, by how fast what remains falls; undefined while no header says it. */
  readonly total: number | undefined
  /** The share of the limit that is used: less if short windows refuse what a minute allows. */
  readonly share: number
}

interface Reading {
  readonly at: number
  readonly amount: number
}

export interface LaneSettings {
  readonly configured: number | undefined
  readonly maxInstances: number | undefined
  /** The rate to begin with where no limit is known. */
  readonly firstRate: number
  /** The rate that refusals do not go below, where no limit is known. */
  readonly leastRate: number
  readonly windowsMs: readonly number[]
}

const MINUTE_MS = 60_000
/** The share of a limit that is used: clocks and networks do not spread evenly what is sent evenly. */
const USED_SHARE = 0.98
/** The share of a known limit to begin with if the number of instances is not known. */
const FIRST_SHARE = 1 / 8
/** What is late is caught up, still within the limit. */
const WINDOW_ROOM = 1.02
const MOST_CATCH_UP_MS = 500
const DOUBLES_IN_MS = 500
const MIN_PER_MINUTE = 0.01
const MAX_PER_MINUTE = 1e12
/** How much a minute without refusals adds to the rate where no header says how much is left. */
const GROWTH_PER_MINUTE = 0.2
const MOST_GROWTH_PER_MINUTE = 6

export function firstLane(
  { configured, maxInstances, firstRate, leastRate, windowsMs }: LaneSettings,
  now: number,
): Lane {
  const share = maxInstances === undefined ? FIRST_SHARE : 1 / maxInstances
  const rate = configured === undefined ? firstRate : configured * share * USED_SHARE
  return {
    limit: configured,
    limitAt: now,
    configured,
    maxInstances,
    rate: clamp(rate),
    leastRate,
    due: now - MOST_CATCH_UP_MS,
    windows: windowsMs.map(emptyWindow),
    isStarting: configured === undefined || maxInstances === undefined,
    grownAt: now,
    cutAt: 0,
    remaining: undefined,
    total: undefined,
    share: USED_SHARE,
  }
}

/** The milliseconds until an amount may be taken; 0: now. */
export function waitForLane({ due, rate, windows }: Lane, amount: number, now: number): number {
  const waits = windows.map((window) => {
    const cap = Math.ceil((rate * window.lengthMs * WINDOW_ROOM) / MINUTE_MS)
    return waitForRoom(window, amount, cap, now)
  })
  return Math.max(0, due - now, ...waits)
}

export function takeFromLane(lane: Lane, amount: number, now: number): Lane {
  const { rate, due, windows } = lane
  const from = Math.max(due, now - MOST_CATCH_UP_MS)
  return {
    ...lane,
    due: Math.min(from + (amount * MINUTE_MS) / rate, now + MAX_WAIT_MS),
    windows: windows.map((window) => addToWindow(window, amount, now)),
  }
}

/** Corrects what was taken by what was used. */
export function correctLane(lane: Lane, taken: number, used: number, now: number): Lane {
  const { rate, due, windows } = lane
  return {
    ...lane,
    due: Math.min(due + ((used - taken) * MINUTE_MS) / rate, now + MAX_WAIT_MS),
    windows: windows.map((window) =>
      used > taken ? addToWindow(window, used - taken, now) : takeFromWindow(window, taken - used),
    ),
  }
}

/** An answer: the rate grows if it is what limits this instance. Where headers say the rate of all instances, they decide. */
export function growLane(lane: Lane, now: number): Lane {
  const { rate, due, isStarting, grownAt, cutAt, total } = lane
  const share = Math.min(USED_SHARE, lane.share + SHARE_GROWTH)
  const sinceMs = Math.min(Math.max(0, now - grownAt), MOST_CATCH_UP_MS)
  if (due < now - MOST_CATCH_UP_MS || (total !== undefined && !isStarting)) return { ...lane, share, grownAt: now }
  const factor = isStarting ? 2 ** (sinceMs / DOUBLES_IN_MS) : 1 + (growthPerMinute(now - cutAt) * sinceMs) / MINUTE_MS
  return { ...lane, share, rate: bounded(lane, rate * factor), grownAt: now }
}

/** The longer no request was refused, the faster it grows: the limit may have been raised. */
function growthPerMinute(sinceCutMs: number): number {
  const minutes = Math.max(0, sinceCutMs) / MINUTE_MS
  return Math.min(MOST_GROWTH_PER_MINUTE, GROWTH_PER_MINUTE * 2 ** minutes)
}

/** Refusals of requests that were under way together count as one. */
const HOLD_MS = 2_000

/** A refusal: the rate falls by a factor. */
export function cutLane(lane: Lane, factor: number, now: number): Lane {
  const { rate, cutAt, isStarting } = lane
  if (now - cutAt < HOLD_MS) return lane
  const cut = Math.max(rate * (isStarting ? factor / 2 : factor), leastOf(lane))
  return { ...lane, rate: bounded(lane, Math.min(rate, cut)), isStarting: false, cutAt: now }
}

const LEAST_SHARE = 0.75
/** A refusal by a short window lowers the share, an answer raises it: about 1.5 % of the requests meet one. */
const SHARE_CUT = 0.004
const SHARE_GROWTH = SHARE_CUT * 0.015

/** A short window refused a request although the minute has room. */
export function onBurst(lane: Lane, jitter: number, now: number): Lane {
  const moved = rephase(lane, jitter, now)
  if (lane.total === undefined || lane.isStarting) return cutLane(moved, 0.98, now)
  return { ...moved, share: Math.max(LEAST_SHARE, lane.share - SHARE_CUT) }
}

/** Moves the requests of this instance against those of the others. */
export function rephase(lane: Lane, jitter: number, now: number): Lane {
  return { ...lane, due: Math.max(lane.due, now + jitter * Math.min(MINUTE_MS, MINUTE_MS / lane.rate)) }
}

/** A limit that no reply has named for this long may be wrong. */
const FORGOTTEN_AFTER_MS = MINUTE_MS

/** A limit that the provider reports. A lower one is believed at once, a higher one gradually. */
export function believeLimit(lane: Lane, reported: number | undefined, now: number): Lane {
  const { limit, limitAt, configured = Infinity, rate, maxInstances } = lane
  if (reported === undefined || !Number.isFinite(reported) || reported < 1) {
    const isForgotten = limit !== lane.configured && now - limitAt > FORGOTTEN_AFTER_MS
    return isForgotten
      ? { ...lane, limit: lane.configured, rate: Math.max(rate, leastOf({ ...lane, limit: lane.configured })) }
      : lane
  }
  const target = Math.min(reported, configured)
  if (limit === undefined) {
    const share = maxInstances === undefined ? rate : (target * USED_SHARE) / maxInstances
    return { ...lane, limit: target, limitAt: now, rate: clamp(Math.min(share, target * USED_SHARE)) }
  }
  const believed = target <= limit ? target : Math.min(target, limit + Math.max(1, (target - limit) / 8))
  // The share of this instance stays the same.
  return { ...lane, limit: believed, limitAt: now, rate: clamp(rate * (believed / limit)) }
}

/** The rate of all instances is known after so much of the limit, or after so long. */
const ENOUGH_OF_LIMIT = 1 / 12
const ENOUGH_AT_START = 1 / 200
const ENOUGH_AT_START_MS = 300
const ENOUGH_MS = 1_000
const SOON_ENOUGH_MS = 3_000
const LONG_ENOUGH_MS = 10_000
/** Within this of the target, the rate stays: rates that do not change keep out of the way of each other. */
const TOLERATED = 0.03
/** Further above the target, the rate falls by the whole difference, else by about half: a measure of seconds is not exact. */
const FAR = 0.1
const ALONE = 0.95

/** What remains of the minute of all instances, as of a time: it says their rate together. */
export function believeRemaining(lane: Lane, amount: number | undefined, at: number): Lane {
  const { limit, remaining: before, isStarting } = lane
  if (amount === undefined || limit === undefined || !Number.isFinite(amount) || amount < 0 || amount > limit)
    return lane
  const reading = { at, amount }
  if (before === undefined || at - before.at > MINUTE_MS) return { ...lane, remaining: reading }
  const [usedAmount, forMs] = [before.amount - amount, at - before.at]
  if (forMs <= 0) return lane
  if (usedAmount < 0) return { ...lane, remaining: reading }
  const total = (usedAmount * MINUTE_MS) / forMs
  const enoughMs =
    isStarting && usedAmount >= limit * ENOUGH_AT_START
      ? ENOUGH_AT_START_MS
      : usedAmount >= limit * ENOUGH_OF_LIMIT
        ? ENOUGH_MS
        : total < limit / 2
          ? SOON_ENOUGH_MS
          : LONG_ENOUGH_MS
  if (forMs < enoughMs) return lane
  const own = ownRate(lane, before.at, at)
  // It does not fall by what this instance has sent: it is stale, or counts otherwise.
  if (total < own * 0.7) return { ...lane, remaining: reading, total: undefined }
  return towards({ ...lane, remaining: reading, total }, total, own, at)
}

function towards(lane: Lane, total: number, own: number, now: number): Lane {
  const { limit = 0, rate, due, isStarting } = lane
  const target = limit * lane.share
  const factor = target / Math.max(total, 1)
  // Alone: its own rate is known exactly.
  if (own > total * ALONE)
    return { ...lane, rate: due < now - MOST_CATCH_UP_MS ? rate : bounded(lane, Math.min(target, rate * 1.5)) }
  const isFar = factor < 1 - FAR
  if (isFar) return { ...lane, rate: Math.min(rate, Math.max(clamp(rate * factor), leastOf(lane))), isStarting: false }
  const isNear = Math.abs(factor - 1) < TOLERATED
  if (isNear || (factor > 1 && due < now - MOST_CATCH_UP_MS)) return { ...lane, isStarting: false }
  return {
    ...lane,
    rate: bounded(lane, rate * Math.min(1.5, Math.sqrt(factor))),
    isStarting: isStarting && factor > 1.2,
  }
}

function ownRate({ windows }: Lane, from: number, to: number): number {
  const longest = windows.at(-1)
  if (longest === undefined) return 0
  const sinceMs = Math.min(to - from, longest.lengthMs)
  return (sumSince(longest, to - sinceMs, to) * MINUTE_MS) / sinceMs
}

export function shiftLane(lane: Lane, byMs: number): Lane {
  return {
    ...lane,
    due: lane.due + byMs,
    grownAt: lane.grownAt + byMs,
    cutAt: lane.cutAt + byMs,
    limitAt: lane.limitAt + byMs,
    remaining: lane.remaining && { ...lane.remaining, at: lane.remaining.at + byMs },
    windows: lane.windows.map((window) => shiftWindow(window, byMs)),
  }
}

/** A quarter of an even share, so that it can come back soon. */
function leastOf({ limit, maxInstances = 250, leastRate }: Lane): number {
  return limit === undefined ? leastRate : limit / maxInstances / 4
}

function bounded({ limit }: Lane, rate: number): number {
  return clamp(Math.min(rate, limit === undefined ? Infinity : limit * USED_SHARE))
}

function clamp(rate: number): number {
  return Math.min(Math.max(rate, MIN_PER_MINUTE), MAX_PER_MINUTE)
}
