import { addToWindow, emptyWindow, shiftWindow, takeFromWindow, type Window, waitForRoom } from './window.ts'

/**
 * The rate of one deployment in one instance, in requests or in tokens. Rates are per minute; times are epoch milliseconds.
 *
 * What is taken is spread evenly: a burst would meet the short windows of the provider, and those of other instances.
 */
export interface Lane {
  /** What the provider allows all instances together; undefined until it is known. */
  readonly limit: number | undefined
  /** The limit that the operator has set, if one. It is never exceeded. */
  readonly configured: number | undefined
  /** The rate of this instance. */
  readonly rate: number
  /** No more is taken before this. It falls behind if too little is taken, and what is behind may be caught up. */
  readonly due: number
  readonly windows: readonly Window[]
  /** Set until the first refusal: the rate grows fast. */
  readonly isStarting: boolean
  /** When the rate last changed. */
  readonly changedAt: number
  /** When the rate was last lowered. */
  readonly loweredAt: number
}

export interface LaneSettings {
  readonly configured: number | undefined
  readonly maxInstances: number | undefined
  /** The rate to begin with where no limit is known. */
  readonly firstRate: number
  readonly windowsMs: readonly number[]
}

const MINUTE_MS = 60_000
/** The share of a limit that is used: clocks and networks spread what is sent evenly. */
const USED_SHARE = 0.98
/** The share of a known limit to begin with if the number of instances is not known. */
const FIRST_SHARE = 1 / 8
const MOST_CATCH_UP_MS = 1_000
const DOUBLES_IN_MS = 500
const MIN_PER_MINUTE = 0.01
const MAX_PER_MINUTE = 1e12
/** A refusal lowers the rate by such a factor: the first one, and a later one. */
const FIRST_CUT = 0.5
const LATER_CUT = 0.9
/** How much a minute without refusals adds to the rate. */
const GROWTH_PER_MINUTE = 0.1

export function firstLane({ configured, maxInstances, firstRate, windowsMs }: LaneSettings, now: number): Lane {
  const share = maxInstances === undefined ? FIRST_SHARE : 1 / maxInstances
  const rate = configured === undefined ? firstRate : configured * share * USED_SHARE
  return {
    limit: configured,
    configured,
    rate: clamp(rate),
    due: now,
    windows: windowsMs.map(emptyWindow),
    isStarting: true,
    changedAt: now,
    loweredAt: now,
  }
}

/** The milliseconds until an amount may be taken; 0: now. */
export function waitForLane({ due, rate, windows }: Lane, amount: number, now: number): number {
  const waits = windows.map((window) => {
    const cap = Math.ceil((rate * window.lengthMs) / MINUTE_MS)
    return waitForRoom(window, amount, cap, now)
  })
  return Math.max(0, due - now, ...waits)
}

export function takeFromLane(lane: Lane, amount: number, now: number): Lane {
  const { rate, due, windows } = lane
  const from = Math.max(due, now - MOST_CATCH_UP_MS)
  return {
    ...lane,
    due: from + (amount * MINUTE_MS) / rate,
    windows: windows.map((window) => addToWindow(window, amount, now)),
  }
}

/** Corrects what was taken by what was used. */
export function correctLane(lane: Lane, taken: number, used: number, now: number): Lane {
  const { rate, due, windows } = lane
  return {
    ...lane,
    due: due + ((used - taken) * MINUTE_MS) / rate,
    windows: windows.map((window) =>
      used > taken ? addToWindow(window, used - taken, now) : takeFromWindow(window, taken - used),
    ),
  }
}

/** An answer: the rate grows if it is what limits this instance. */
export function growLane(lane: Lane, now: number): Lane {
  const { rate, due, isStarting, changedAt } = lane
  const isIdle = due < now - MOST_CATCH_UP_MS
  const sinceMs = Math.min(Math.max(0, now - changedAt), MOST_CATCH_UP_MS)
  const factor = isStarting ? 2 ** (sinceMs / DOUBLES_IN_MS) : 1 + (GROWTH_PER_MINUTE * sinceMs) / MINUTE_MS
  return { ...lane, rate: isIdle ? rate : bounded(lane, rate * factor), changedAt: now }
}

/** A refusal: the rate falls. Refusals of requests that were under way together count as one. */
export function cutLane(lane: Lane, holdMs: number, now: number): Lane {
  const { rate, isStarting, loweredAt } = lane
  if (!isStarting && now - loweredAt < holdMs) return lane
  const cut = isStarting ? FIRST_CUT : LATER_CUT
  return { ...lane, rate: bounded(lane, rate * cut), isStarting: false, changedAt: now, loweredAt: now }
}

/** A limit that the provider reports. A lower one is believed at once, a higher one gradually. */
export function believeLimit(lane: Lane, reported: number | undefined): Lane {
  if (reported === undefined || !Number.isFinite(reported) || reported < 1) return lane
  const { limit, configured = Infinity, rate } = lane
  const target = Math.min(reported, configured)
  if (limit === undefined) return { ...lane, limit: target, rate: Math.min(rate, target * USED_SHARE) }
  const believed = target <= limit ? target : Math.min(target, limit + Math.max(1, (target - limit) / 8))
  // The share of this instance stays the same.
  return { ...lane, limit: believed, rate: clamp(rate * (believed / limit)) }
}

export function shiftLane(lane: Lane, byMs: number): Lane {
  return {
    ...lane,
    due: lane.due + byMs,
    changedAt: lane.changedAt + byMs,
    loweredAt: lane.loweredAt + byMs,
    windows: lane.windows.map((window) => shiftWindow(window, byMs)),
  }
}

function bounded({ limit }: Lane, rate: number): number {
  return clamp(Math.min(rate, limit === undefined ? Infinity : limit * USED_SHARE))
}

function clamp(rate: number): number {
  return Math.min(Math.max(rate, MIN_PER_MINUTE), MAX_PER_MINUTE)
}
