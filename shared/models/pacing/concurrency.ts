/** How many requests may be under way at once. Slow answers would pile up otherwise, whatever the rate. */
export interface Concurrency {
  readonly most: number
  readonly underWay: number
  /** When it was lowered; undefined until the first sign of a limit: it grows fast. Epoch milliseconds. */
  readonly loweredAt: number | undefined
}

const FIRST = 64
const MOST = 10_000
const CUT = 0.7
const HOLD_MS = 2_000

export function firstConcurrency(): Concurrency {
  return { most: FIRST, underWay: 0, loweredAt: undefined }
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

/** An answer: the cap grows while it is nearly reached. Once it was lowered, by about one for as many answers as it allows. */
export function growConcurrency(concurrency: Concurrency): Concurrency {
  const { most, underWay, loweredAt } = concurrency
  if (underWay < most / 2) return concurrency
  return { ...concurrency, most: Math.min(MOST, most + (loweredAt === undefined ? 1 : 1 / most)) }
}

/** The service is short of capacity, or answers too slowly. What was under way together counts as one. */
export function cutConcurrency(concurrency: Concurrency, now: number): Concurrency {
  const { most, loweredAt = -Infinity } = concurrency
  if (now - loweredAt < HOLD_MS) return concurrency
  return { ...concurrency, most: Math.max(1, most * CUT), loweredAt: now }
}

export function shiftConcurrency(concurrency: Concurrency, byMs: number): Concurrency {
  const { loweredAt } = concurrency
  return { ...concurrency, loweredAt: loweredAt === undefined ? undefined : loweredAt + byMs }
}
