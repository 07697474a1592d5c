import { type Priority, priorities } from '../../shared/job/priority.ts'
import type { Clock } from '../../shared/lib/clock.ts'
import { type Claimant, decideSlot, type SlotDecision } from './share-slots.ts'

/** How many jobs run at once on an instance, shared by classes and, within a class, by batches. */
export interface Slots {
  /** Takes a slot, which `leave` frees; or says why there is none. */
  take(claimant: Claimant): { readonly kind: 'taken'; readonly leave: () => void } | { readonly kind: Refusal }
}

type Refusal = Exclude<SlotDecision, 'take'>

/** For how long a job that arrived, or a batch that was refused, counts. Pub/Sub redelivers within it at first. */
const COUNTS_FOR_MS = 60_000
/** Batches that were refused are remembered up to this number. */
const MAX_REFUSED = 1_000

export function createSlots(slots: number, now: Clock): Slots {
  const used = new Map<string, Claimant & { amount: number }>()
  const refused = new Map<string, Claimant & { readonly at: number }>()
  const arrivedAt = new Map<Priority, number>()
  // A clock that is set back counts as time that has passed.
  const isRecent = (at: number | undefined) => at !== undefined && Math.abs(now() - at) < COUNTS_FOR_MS

  function refuse(name: string, claimant: Claimant): void {
    refused.delete(name)
    refused.set(name, { ...claimant, at: now() })
    for (const [oldest, { at }] of refused) {
      if (isRecent(at) && refused.size <= MAX_REFUSED) return
      refused.delete(oldest)
    }
  }

  return {
    take(claimant) {
      const name = `${claimant.priority} ${claimant.batch}`
      arrivedAt.set(claimant.priority, now())
      const load = {
        used: [...used.values()],
        arriving: new Set(priorities.filter((priority) => isRecent(arrivedAt.get(priority)))),
        refused: [...refused.values()].filter(({ at }) => isRecent(at)),
      }
      const decision = decideSlot(claimant, load, slots)
      if (decision !== 'take') {
        refuse(name, claimant)
        return { kind: decision }
      }
      refused.delete(name)
      const entry = used.get(name) ?? { ...claimant, amount: 0 }
      used.set(name, entry)
      entry.amount += 1
      return {
        kind: 'taken',
        leave() {
          entry.amount -= 1
          if (entry.amount === 0) used.delete(name)
        },
      }
    },
  }
}
