export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** The middle value; between the two middle ones of an even number. NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN
  return (lower + upper) / 2
}

export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

/**
 * How many times the other's value each value is, round by round.
 *
 * Two values of one round met the same noise, so their ratio says more than the ratio of two medians. A round that
 * only one of them took part in is left out.
 */
export function ratios(values: readonly number[], others: readonly number[]): readonly number[] {
  const both = Math.min(values.length, others.length)
  return values.slice(0, both).map((value, round) => value / (others[round] ?? Number.NaN))
}
