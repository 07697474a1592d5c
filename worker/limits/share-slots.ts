import { leftFor, type Priority } from '../../shared/job/priority.ts'

/** A batch of one class that has jobs under way, or wants to. Jobs without a batch are one batch. */
export interface Claimant {
  readonly priority: Priority
  readonly batch: string
}

/** The state of an instance's slots. */
export interface Load {
  readonly used: readonly (Claimant & { readonly amount: number })[]
  /** Classes whose jobs arrived lately. */
  readonly arriving: ReadonlySet<Priority>
  /** Batches that were refused a slot lately, and have got none since then. */
  readonly refused: readonly Claimant[]
}

/**
 * full: no slot is free. not_its_turn: the free ones are for more urgent jobs, or for another batch of the class that waits.
 */
export type SlotDecision = 'take' | 'full' | 'not_its_turn'

/** Decides whether a job of a batch may start. One batch alone may use every slot. */
export function decideSlot(claimant: Claimant, { used, arriving, refused }: Load, slots: number): SlotDecision {
  const free = slots - used.reduce((sum, { amount }) => sum + amount, 0)
  if (free <= 0) return 'full'
  const left = leftFor(claimant.priority, slots, used, arriving)
  if (left === 0) return 'not_its_turn'
  return isWithinItsShare(claimant, used, refused, left) ? 'take' : 'not_its_turn'
}

/** A batch leaves an equal share of its class's slots to each other batch that was refused one. */
function isWithinItsShare(
  { priority, batch }: Claimant,
  used: Load['used'],
  refused: Load['refused'],
  left: number,
): boolean {
  const ofClass = used.filter((entry) => entry.priority === priority)
  const isWaitedFor = refused.some((other) => other.priority === priority && other.batch !== batch)
  if (!isWaitedFor) return true
  const names = new Set([batch, ...[...ofClass, ...refused.filter((r) => r.priority === priority)].map((b) => b.batch)])
  const ofAll = left + ofClass.reduce((sum, { amount }) => sum + amount, 0)
  const own = ofClass.find((entry) => entry.batch === batch)?.amount ?? 0
  return own < Math.max(1, Math.ceil(ofAll / names.size))
}
