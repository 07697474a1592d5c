import { type Fault, meetFaults, type Placed, type Target } from '../faults.ts'

/** The active faults of one stand-in. */
export interface FaultBook {
  place(fault: Fault): void
  clear(): void
  /** Counts the call, and returns the fault that affects it, if there is one. */
  meet(target: Target): Fault | undefined
}

export function createFaultBook(): FaultBook {
  let placed: readonly Placed[] = []
  return {
    place(fault) {
      placed = [...placed, { fault, met: 0, struck: 0 }]
    },
    clear() {
      placed = []
    },
    meet(target) {
      const { left, hit } = meetFaults(placed, target)
      placed = left
      return hit
    },
  }
}
