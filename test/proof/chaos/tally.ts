import type { Call } from '../../../local/call-log.ts'
import type { Evidence } from './evidence.ts'
import { countKinds, nameOf, type PlannedFault } from './plan.ts'
import { isAcked } from './rules.ts'

/** What shows that a fault took place. */
export interface Happened {
  readonly plan: readonly PlannedFault[]
  /** Names of the faults that we inflicted ourselves. */
  readonly inflicted: ReadonlySet<string>
  /** Of all stand-ins that have a book of faults. */
  readonly calls: readonly Call[]
  readonly pushes: Evidence['pushes']
}

export interface Tally {
  readonly kind: string
  readonly planned: number
  readonly tookPlace: number
}

/** Counts for each kind of fault how many were planned, and how many struck. */
export function tally(happened: Happened): readonly Tally[] {
  return [...countKinds(happened.plan)].map(([kind, planned]) => ({ kind, planned, tookPlace: count(kind, happened) }))
}

/**
 * What proves less than it says: kinds of which less than half took place. On a slow machine fewer messages come, and some
 * faults find none to strike.
 */
export function shortfalls(tallies: readonly Tally[]): readonly string[] {
  return tallies
    .filter(({ planned, tookPlace }) => tookPlace < planned / 2)
    .map(({ kind, planned, tookPlace }) => `only ${tookPlace} of ${planned} took place: ${kind}`)
}

function count(kind: string, { plan, inflicted, calls, pushes }: Happened): number {
  if (kind === 'push: duplicates') return pushes.filter(isDuplicate).length
  if (kind === 'push: forged token') return pushes.filter(({ status }) => status === 401 || status === 403).length
  if (kind === 'push: lost ack') return countLostAcks(pushes)
  const struck = new Set(calls.map(({ detail }) => detail['fault']))
  const isScripted = (fault: PlannedFault['fault']) => 'scripts' in fault || ('ms' in fault && 'script' in fault)
  return plan
    .filter(({ fault }) => nameOf(fault) === kind)
    .filter(({ name, fault }) => (isScripted(fault) ? struck.has(name) : inflicted.has(name))).length
}

export function isDuplicate({ detail }: Call): boolean {
  return detail['duplicate'] === true
}

/** A message that came again although it had been acknowledged. */
function countLostAcks(pushes: readonly Call[]): number {
  const attempt = ({ detail }: Call) => Number(detail['deliveryAttempt'])
  return [...Map.groupBy(pushes, ({ detail }) => String(detail['messageId'])).values()]
    .map((own) => {
      const last = Math.max(...own.map(attempt))
      const ackedBefore = own.filter((push) => isAcked(push) && attempt(push) < last).map(attempt)
      return new Set(ackedBefore).size
    })
    .reduce((sum, lost) => sum + lost, 0)
}
