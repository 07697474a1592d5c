import { createEventHeap } from '../../simulate/event-heap.ts'

/** A clock that jumps from event to event. Times are milliseconds since the epoch. */
export interface VirtualTime {
  now(): number
  /** Calls back after so many milliseconds. Returns what cancels it. */
  after(ms: number, happen: () => void): () => void
  /** Lets everything happen until nothing is planned, `isOver` says so, or the time is past `until`. */
  run(isOver: () => boolean, until: number): void
}

export function createVirtualTime(start: number): VirtualTime {
  const events = createEventHeap()
  let now = start
  let planned = 0
  return {
    now: () => now,
    after(ms, happen) {
      planned += 1
      const event = { at: now + Math.max(0, ms), tie: planned, process: undefined, happen, isCancelled: false }
      events.push(event)
      return () => {
        event.isCancelled = true
      }
    },
    run(isOver, until) {
      while (!isOver()) {
        const event = events.pop()
        if (event === undefined) return
        if (event.isCancelled) continue
        if (event.at > until) {
          events.push(event)
          return
        }
        now = event.at
        event.happen()
      }
    },
  }
}
