/** What one reply says about what remains of a limit that all instances share. */
export interface Remaining {
  readonly amount: number | undefined
  /** Seconds until all of it remains again. */
  readonly resetSeconds: number | undefined
  /** When the request was sent. Epoch milliseconds. */
  readonly at: number
}

/** A reply from which use is measured. Times are epoch milliseconds. */
export interface Reading {
  readonly amount: number
  readonly at: number
  readonly resetAt: number | undefined
}

/** What all instances use, by two replies. */
export interface UseOfAll {
  /** Their rate, as a share of the limit. */
  readonly share: number
  /** The rate that uses up what remains until the reset, as a share of the limit. */
  readonly until: number
}

const MINUTE_MS = 60_000
/** Shorter measures are not exact. */
const MEASURE_MS = 2_000
/** Reset times that differ by less are of the same minute: they are whole seconds. */
const SAME_RESET_MS = 1_100
/** Keeps the first and the last seconds of a minute from saying too much. */
const DAMPING = 0.1

/**
 * Measures the rate of all instances by how what remains falls. Returns the reading that the next reply is compared with.
 *
 * Headers may be stale, 0 or of another gateway: only replies that agree on the time of the reset are compared.
 */
export function measureUse(
  before: Reading | undefined,
  { amount, resetSeconds, at }: Remaining,
  limit: number,
): { readonly reading: Reading | undefined; readonly use?: UseOfAll } {
  if (amount === undefined || amount < 1 || amount > limit) return { reading: before }
  const reading = { amount, at, resetAt: resetTime(at, resetSeconds) }
  const relation = before === undefined ? 'first' : compare(before, reading)
  if (relation === 'other') return { reading }
  const isSame = relation === 'same' && before !== undefined
  if (isSame && (amount > before.amount || at - before.at < MEASURE_MS)) return { reading: before }
  const leftMs = reading.resetAt === undefined ? undefined : reading.resetAt - at
  if (!isSame && leftMs === undefined) return { reading }
  const forMs = isSame ? at - before.at : MINUTE_MS - (leftMs ?? 0)
  if (forMs < MEASURE_MS) return { reading }
  const used = (isSame ? before.amount : limit) - amount
  const share = used / ((limit * forMs) / MINUTE_MS)
  const until = leftMs === undefined ? 1 : (amount / limit + DAMPING) / (leftMs / MINUTE_MS + DAMPING)
  return { reading, use: { share, until } }
}

function resetTime(at: number, seconds: number | undefined): number | undefined {
  // They are rounded up.
  return seconds === undefined ? undefined : at + Math.min(MINUTE_MS, Math.max(0, seconds * 1_000 - 500))
}

/** Whether two replies are of the same minute, of different minutes, or do not agree. */
function compare(before: Reading, { amount, at, resetAt }: Reading): 'same' | 'next' | 'other' {
  if (resetAt === undefined || before.resetAt === undefined) {
    return amount <= before.amount && at - before.at < MINUTE_MS ? 'same' : 'other'
  }
  const laterMs = resetAt - before.resetAt
  if (Math.abs(laterMs) < SAME_RESET_MS) return 'same'
  const offMs = Math.abs(laterMs - MINUTE_MS * Math.round(laterMs / MINUTE_MS))
  return laterMs > 0 && offMs < SAME_RESET_MS ? 'next' : 'other'
}
