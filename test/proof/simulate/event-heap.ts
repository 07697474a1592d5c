import type { Process } from './world.ts'

/** Something that is to happen. */
export interface PlannedEvent {
  /** Epoch milliseconds. */
  at: number
  /** Orders those of one time. */
  readonly tie: number
  readonly process: Process | undefined
  readonly happen: () => void
  isCancelled: boolean
}

export interface EventHeap {
  push(event: PlannedEvent): void
  /** The next one; undefined, where there is none. */
  pop(): PlannedEvent | undefined
}

export function createEventHeap(): EventHeap {
  const heap: PlannedEvent[] = []

  /** Swaps two places if the second is to happen before the first. */
  function order(first: number, second: number): boolean {
    const [a, b] = [heap[first], heap[second]]
    if (a === undefined || b === undefined || !isBefore(b, a)) return false
    heap[first] = b
    heap[second] = a
    return true
  }

  return {
    push(event) {
      let place = heap.push(event) - 1
      while (place > 0) {
        const parent = (place - 1) >> 1
        if (!order(parent, place)) return
        place = parent
      }
    },
    pop() {
      const [first] = heap
      const last = heap.pop()
      if (first === undefined || last === undefined || heap.length === 0) return first
      heap[0] = last
      for (let place = 0; ; ) {
        const smaller = smallerChild(heap, place)
        if (!order(place, smaller)) return first
        place = smaller
      }
    },
  }
}

function smallerChild(heap: readonly PlannedEvent[], place: number): number {
  const [left, right] = [heap[2 * place + 1], heap[2 * place + 2]]
  const isRight = left !== undefined && right !== undefined && isBefore(right, left)
  return 2 * place + (isRight ? 2 : 1)
}

function isBefore(a: PlannedEvent, b: PlannedEvent): boolean {
  return a.at < b.at || (a.at === b.at && a.tie < b.tie)
}
