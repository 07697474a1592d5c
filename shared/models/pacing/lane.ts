import { MAX_WAIT_MS } from '../../job/failures.ts'
import type { Reading } from './use-of-all.ts'
import { addToWindow, emptyWindow, shiftWindow, takeFromWindow, type Window, waitForRoom } from './window.ts'

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
  readonly isSparse: boolean
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
  /** The reply from which the use of all instances is measured. */
  readonly reading: Reading | undefined
  /** When the rate last followed that use; undefined while no header says it. */
  readonly followedAt: number | undefined
  /** What the rate is multiplied by, so that what remains is used up at the reset and not before. */
  readonly boost: number
  /** The mean amount of a request; undefined before the first. */
  readonly perRequest: number | undefined
  /** The share of the limit that is used: less if short windows refuse what a minute allows. */
  readonly share: number
}

export interface LaneSettings {
  readonly configured: number | undefined
  readonly maxInstances: number | undefined
  /** Whether an even share is less than one request a minute. */
  readonly isSparse: boolean
  /** The rate to begin with where no limit is known. */
  readonly firstRate: number
  /** The rate that refusals do not go below, where no limit is known. */
  readonly leastRate: number
  readonly windowsMs: readonly number[]
}

const MINUTE_MS = 60_000
/** The share of a limit that is used: clocks and networks do not spread evenly what is sent evenly. */
const USED_SHARE = 0.99
/** The number of instances if it is not known. */
const INSTANCES = 8
/** Instances start one after the other, with uneven load: the first may use more than an even share, up to a quarter. */
const FIRST_SHARES = 3
const MOST_FIRST_SHARE = 1 / 4
/** Below one request a minute an instance keeps to its even share first, but may send one in 20 s. Pub/Sub's backoff does the rest. */
const SPARSE_PER_MINUTE = 3
/** What is late is caught up, still within the limit. */
const WINDOW_ROOM = 1.02
export const MOST_CATCH_UP_MS = 200
const DOUBLES_IN_MS = 500
const MIN_PER_MINUTE = 0.01
const MAX_PER_MINUTE = 1e12
/** How much a minute without refusals adds to the rate where no header says how much is left. */
const GROWTH_PER_MINUTE = 0.2
const MOST_GROWTH_PER_MINUTE = 6

export function firstLane(
  { configured, maxInstances, isSparse, firstRate, leastRate, windowsMs }: LaneSettings,
  now: number,
): Lane {
  const rate = configured === undefined ? firstRate : configured * firstShare(maxInstances, isSparse) * USED_SHARE
  return {
    limit: configured,
    limitAt: now,
    configured,
    maxInstances,
    isSparse,
    rate: clamp(rate),
    leastRate,
    due: now - MOST_CATCH_UP_MS,
    windows: windowsMs.map(emptyWindow),
    isStarting: configured === undefined || maxInstances === undefined,
    grownAt: now,
    cutAt: 0,
    reading: undefined,
    followedAt: undefined,
    boost: 1,
    perRequest: undefined,
    share: USED_SHARE,
  }
}

function firstShare(instances = INSTANCES, isSparse: boolean): number {
  const even = 1 / instances
  return isSparse ? even : Math.min(FIRST_SHARES * even, Math.max(even, MOST_FIRST_SHARE))
}

/** The rate at which this instance may send now. */
export function presentRate({ rate, boost, limit, isSparse, perRequest = 0 }: Lane): number {
  const most = limit === undefined ? Infinity : limit * USED_SHARE
  const least = isSparse ? SPARSE_PER_MINUTE * perRequest : 0
  return clamp(Math.min(most, Math.max(rate * boost, least)))
}

/** The milliseconds until an amount may be taken; 0: now. */
export function waitForLane(lane: Lane, amount: number, now: number): number {
  const { due, windows, perRequest = amount } = lane
  const rate = presentRate({ ...lane, perRequest })
  const waits = windows.map((window) => {
    const cap = Math.ceil((rate * window.lengthMs * WINDOW_ROOM) / MINUTE_MS)
    return waitForRoom(window, amount, cap, now)
  })
  return Math.max(0, due - now, ...waits)
}

export function takeFromLane(lane: Lane, amount: number, now: number): Lane {
  const { due, windows } = lane
  const perRequest = lane.perRequest === undefined ? amount : 0.9 * lane.perRequest + 0.1 * amount
  const rate = presentRate({ ...lane, perRequest })
  const from = Math.max(due, now - MOST_CATCH_UP_MS)
  return {
    ...lane,
    perRequest,
    due: Math.min(from + (amount * MINUTE_MS) / rate, now + MAX_WAIT_MS),
    windows: windows.map((window) => addToWindow(window, amount, now)),
  }
}

/** Corrects what was taken by what was used. */
export function correctLane(lane: Lane, taken: number, used: number, now: number): Lane {
  const { due, windows } = lane
  const rate = presentRate(lane)
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
  const { rate, due, isStarting, grownAt, cutAt, followedAt } = lane
  const share = Math.min(USED_SHARE, lane.share + SHARE_GROWTH)
  const sinceMs = Math.min(Math.max(0, now - grownAt), MOST_CATCH_UP_MS)
  if (due < now - MOST_CATCH_UP_MS || (followedAt !== undefined && !isStarting)) return { ...lane, share, grownAt: now }
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
  if (lane.followedAt === undefined || lane.isStarting) return cutLane(moved, 0.98, now)
  return { ...moved, share: Math.max(LEAST_SHARE, lane.share - SHARE_CUT) }
}

/** Takes nothing before a time, and catches nothing up after it. */
export function holdLane(lane: Lane, until: number): Lane {
  return { ...lane, due: Math.max(lane.due, until) }
}

/** Moves the requests of this instance against those of the others. */
export function rephase(lane: Lane, jitter: number, now: number): Lane {
  return { ...lane, due: Math.max(lane.due, now + jitter * Math.min(MINUTE_MS, MINUTE_MS / presentRate(lane))) }
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

export function shiftLane(lane: Lane, byMs: number): Lane {
  return {
    ...lane,
    due: lane.due + byMs,
    grownAt: lane.grownAt + byMs,
    cutAt: lane.cutAt + byMs,
    limitAt: lane.limitAt + byMs,
    // A reading of before would be compared with another clock.
    reading: undefined,
    followedAt: lane.followedAt === undefined ? undefined : lane.followedAt + byMs,
    windows: lane.windows.map((window) => shiftWindow(window, byMs)),
  }
}

/** A quarter of an even share, so that it can come back soon. */
function leastOf({ limit, maxInstances = 250, leastRate }: Lane): number {
  return limit === undefined ? leastRate : limit / maxInstances / 4
}

export function bounded({ limit }: Lane, rate: number): number {
  return clamp(Math.min(rate, limit === undefined ? Infinity : limit * USED_SHARE))
}

function clamp(rate: number): number {
  return Math.min(Math.max(rate, MIN_PER_MINUTE), MAX_PER_MINUTE)
}
