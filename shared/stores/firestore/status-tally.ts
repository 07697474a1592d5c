import type { JobRecord, StatusCounts } from '../../job/record.ts'

type Status = JobRecord['status']

/** Two statuses share a number: the first counts ones, the second this many. */
const SECOND = 2 ** 26
const PAIRS = [
  ['running', 'waiting'],
  ['succeeded', 'dead_lettered'],
  ['cancelled', 'expired'],
] as const satisfies readonly (readonly [Status, Status])[]

/** The most records of which the counts fit into the numbers: a sum stays below 2^53. */
export const MAX_TALLIED = SECOND - 1

/**
 * The field of a record that encodes its status as numbers. An aggregation query sums up to five fields and cannot group,
 * so these fields give the counts of all statuses in one call.
 */
export const TALLY = 'tally'
export const TALLY_FIELDS = PAIRS.map((_, n) => `${TALLY}.s${n}`)

export function tallyOf(status: Status): Readonly<Record<string, number>> {
  const number = ([first, second]: readonly [Status, Status]) => (status === first ? 1 : status === second ? SECOND : 0)
  return Object.fromEntries(PAIRS.map((pair, n) => [`s${n}`, number(pair)]))
}

/** The counts that the sums of these fields stand for. */
export function countsOf(sums: readonly number[]): StatusCounts {
  const counts = PAIRS.flatMap(([first, second], n) => {
    const sum = sums[n] ?? 0
    return [
      [first, sum % SECOND],
      [second, Math.floor(sum / SECOND)],
    ] as const
  })
  return Object.fromEntries(counts.filter(([, count]) => count > 0))
}
