/** What was taken within a sliding window of time, oldest first. Times are epoch milliseconds. */
export interface Window {
  readonly lengthMs: number
  readonly taken: readonly Taken[]
}

interface Taken {
  /** Of the last of those that are kept as one. */
  readonly at: number
  readonly amount: number
}

/** What is taken within such a share of a window is kept as one, so that a window has few entries. */
const SLICES = 50

export function emptyWindow(lengthMs: number): Window {
  return { lengthMs, taken: [] }
}

export function addToWindow({ lengthMs, taken }: Window, amount: number, now: number): Window {
  const sliceOf = (at: number) => Math.floor((at * SLICES) / lengthMs)
  const kept = taken.filter(({ at }) => at > now - lengthMs)
  const last = kept.at(-1)
  if (last === undefined || sliceOf(last.at) !== sliceOf(now))
    return { lengthMs, taken: [...kept, { at: now, amount }] }
  return { lengthMs, taken: [...kept.slice(0, -1), { at: now, amount: last.amount + amount }] }
}

/** Takes an amount out again that was not used, from the newest on. */
export function takeFromWindow({ lengthMs, taken }: Window, amount: number): Window {
  let left = amount
  const lower = (each: Taken) => {
    const out = Math.min(left, each.amount)
    left -= out
    return { at: each.at, amount: each.amount - out }
  }
  return { lengthMs, taken: taken.toReversed().map(lower).toReversed() }
}

/** The milliseconds until an amount has room under a cap. An empty window has room for any amount. */
export function waitForRoom({ lengthMs, taken }: Window, amount: number, cap: number, now: number): number {
  const inside = taken.filter(({ at }) => at > now - lengthMs)
  let sum = inside.reduce((total, each) => total + each.amount, 0)
  let waitMs = 0
  for (const each of inside) {
    if (sum + amount <= cap) break
    sum -= each.amount
    waitMs = each.at + lengthMs - now
  }
  return waitMs
}

/** Moves all times, after the clock was set. */
export function shiftWindow({ lengthMs, taken }: Window, byMs: number): Window {
  return { lengthMs, taken: taken.map(({ at, amount }) => ({ at: at + byMs, amount })) }
}
