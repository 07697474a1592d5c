import { type Fault, meetFaults, type Placed, type Target } from '../faults.ts'

/** The faults in force at one stand-in. */
export interface FaultBook {
  place(fault: Fault): void
  clear(): void
  /** The fault that strikes this call, if any, and counts the call. */
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
