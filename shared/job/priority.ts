/** The classes of jobs, the most urgent first. The attribute `pb-priority` names one; each has a subscription of its own. */
export const priorities = ['high', 'normal', 'low'] as const
export type Priority = (typeof priorities)[number]

/** Any value but high and low is normal, as in the filters of the subscriptions. */
export function priorityOf(attributes: Readonly<Record<string, string>>): Priority {
  const named = attributes['pb-priority']
  return named === 'high' || named === 'low' ? named : 'normal'
}

/** The share of a limit that a class and all below it may use while more urgent jobs arrive. */
const SHARES: Readonly<Record<Priority, number>> = { high: 1, normal: 0.85, low: 0.6 }

/** One class, and how much of the limit its jobs use. */
export interface Use {
  readonly priority: Priority
  readonly amount: number
}

/**
 * How much of a limit is left for a class, 0 or more. Each class leaves a part of it to more urgent ones, but only while jobs
 * of those arrive: one class alone may use all of it. A class may always use 1.
 */
export function leftFor(
  priority: Priority,
  limit: number,
  used: readonly Use[],
  arriving: ReadonlySet<Priority>,
): number {
  const ranks = priorities.slice(0, priorities.indexOf(priority) + 1)
  const left = ranks.map((limiting, rank) => {
    const isLimiting = rank === 0 || priorities.slice(0, rank).some((above) => arriving.has(above))
    if (!isLimiting) return Infinity
    const below = priorities.slice(rank)
    const usedBelow = used.reduce((sum, use) => (below.includes(use.priority) ? sum + use.amount : sum), 0)
    return Math.max(rank === 0 ? 0 : 1, Math.floor(SHARES[limiting] * limit)) - usedBelow
  })
  return Math.max(0, Math.min(...left))
}
