/** How many requests may be under way at once. Slow answers would pile up otherwise, whatever the rate. */
export interface Concurrency {
  readonly most: number
  readonly underWay: number
  readonly loweredAt: number
}

const FIRST = 64
const MOST = 10_000
const CUT = 0.7

export function firstConcurrency(now: number): Concurrency {
  return { most: FIRST, underWay: 0, loweredAt: now }
}

export function hasRoom({ most, underWay }: Concurrency): boolean {
  return underWay < Math.floor(most)
}

export function begin(concurrency: Concurrency): Concurrency {
  return { ...concurrency, underWay: concurrency.underWay + 1 }
}

export function end(concurrency: Concurrency): Concurrency {
  return { ...concurrency, underWay: Math.max(0, concurrency.underWay - 1) }
}

/** An answer: the cap grows while it is reached, by about one for as many answers as it allows. */
export function growConcurrency(concurrency: Concurrency): Concurrency {
  const { most, underWay } = concurrency
  return underWay < most / 2 ? concurrency : { ...concurrency, most: Math.min(MOST, most + 1 / most) }
}

/** The service is short of capacity, or answers too slowly. What was under way together counts as one. */
export function cutConcurrency(concurrency: Concurrency, holdMs: number, now: number): Concurrency {
  const { most, loweredAt } = concurrency
  if (now - loweredAt < holdMs) return concurrency
  return { ...concurrency, most: Math.max(1, most * CUT), loweredAt: now }
}

export function shiftConcurrency(concurrency: Concurrency, byMs: number): Concurrency {
  return { ...concurrency, loweredAt: concurrency.loweredAt + byMs }
}
