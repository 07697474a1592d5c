import { bounded, type Lane, MOST_CATCH_UP_MS } from './lane.ts'
import { measureUse, type Remaining } from './use-of-all.ts'

/** How fast the rate follows: a measure of seconds is not exact, and other instances follow the same one. */
const FOLLOWS_IN_MS = 12_000
const GROWS_IN_MS = 10_000
const MOST_GROWTH = 3
const MOST_FALL = 0.8
/** Within this of what is aimed at, the rate stays: rates that do not change keep out of the way of each other. */
const TOLERATED = 0.1
const LEAST_USE = 0.05
/** What the first measure counts for. */
const MEASURED_MS = 2_000
/** Where short windows are checked, nothing can be caught up. */
const MOST_BOOST = 1.1
const LEAST_BOOST = 0.8

/** What remains of the minute of all instances says what all of them use: the rate follows it. */
export function followUse(before: Lane, said: Remaining, now: number): Lane {
  const { limit, due, rate, followedAt, isStarting, share: aim } = before
  if (limit === undefined) return before
  const { reading, use } = measureUse(before.reading, said, limit)
  if (use === undefined) return { ...before, reading }
  const boost = Math.min(before.windows.length > 1 ? 1 : MOST_BOOST, Math.max(LEAST_BOOST, use.until))
  const lane = { ...before, reading, boost, followedAt: now }
  const ratio = (aim * before.boost) / Math.max(LEAST_USE, use.share)
  const sinceMs = followedAt === undefined ? MEASURED_MS : Math.max(0, now - followedAt)
  const gain = 1 - Math.exp(-sinceMs / (ratio > 1 ? GROWS_IN_MS : FOLLOWS_IN_MS))
  const isNear = Math.abs(Math.log(ratio)) < TOLERATED
  const factor = isNear ? 1 : Math.min(MOST_GROWTH, Math.max(MOST_FALL, ratio ** gain))
  const isIdle = due < now - MOST_CATCH_UP_MS
  if (factor > 1 && isIdle) return { ...before, reading, boost }
  return { ...lane, rate: bounded(lane, rate * factor), isStarting: isStarting && factor > 1 }
}
