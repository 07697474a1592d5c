import type { Random } from '../support/seeded-random.ts'
import { createEventHeap, type PlannedEvent } from './event-heap.ts'

/** A process of the simulation. What it waits for never comes once it is dead, and comes late while it is frozen. */
export interface Process {
  readonly name: string
  /** Which version it runs. */
  readonly release: 'this' | 'last'
  isDead: boolean
  /** How far its clock is off, in milliseconds. */
  skewMs: number
  /** When its clock was set back last. Epoch milliseconds of the world's time. */
  clockSetBackAt: number
  /** Epoch milliseconds of the world's time. */
  frozenUntil: number
  /** When it last had worse to bear than a lost reply of the store, and of which replies it lost. Epoch milliseconds. */
  troubledAt: number
  readonly lostRepliesAt: number[]
}

export function createProcess(name: string, skewMs = 0, release: Process['release'] = 'this'): Process {
  return { name, release, isDead: false, skewMs, clockSetBackAt: 0, frozenUntil: 0, troubledAt: 0, lostRepliesAt: [] }
}

/** One line of what happened. */
export interface Happening {
  readonly at: number
  readonly who: string
  readonly what: string
}

export interface World {
  readonly random: Random
  /** All that happened, oldest first. */
  readonly history: readonly Happening[]
  /** Epoch milliseconds. */
  now(): number
  /** Whose code is running: each process goes on in events of its own. */
  current(): Process | undefined
  /** Runs what a process does at once. */
  as<T>(process: Process, work: () => T): T
  /** Plans something so many milliseconds from now; of a process, unless it is the network's or people's own. */
  after(ms: number, process: Process | undefined, happen: () => void): PlannedEvent
  note(who: string, what: string): void
  /** Lets the next thing happen; false, where nothing is planned. */
  step(): Promise<boolean>
}

/** Node's own, which the simulation replaces by its own for the code that it runs. */
const realSetImmediate = setImmediate
/** Longer than this, nothing is remembered: a history is for people. */
const MAX_HISTORY = 20_000
/** More than any event leads to at once: what plans more goes round for ever. */
const MAX_PLANNED_AT_ONCE = 10_000

/**
 * A world with a time of its own: nothing sleeps, and what happens next hangs on the seed alone.
 *
 * All that is planned happens in the order of its time, and what is planned for one time in an order by chance. Between
 * two events every promise that can be settled is.
 */
export function createWorld(random: Random, start: number): World {
  const events = createEventHeap()
  const history: Happening[] = []
  let running: Process | undefined
  let now = start
  let plannedNow = 0

  return {
    random,
    history,
    now: () => now,
    current: () => running,
    as(process, work) {
      const before = running
      running = process
      try {
        return work()
      } finally {
        running = before
      }
    },
    after(ms, process, happen) {
      plannedNow += 1
      if (plannedNow > MAX_PLANNED_AT_ONCE) throw new Error('what happens at one time does not come to an end')
      const event = { at: now + Math.max(0, Math.ceil(ms)), tie: random.next(), process, happen, isCancelled: false }
      events.push(event)
      return event
    },
    note(who, what) {
      if (history.length < MAX_HISTORY) history.push({ at: now - start, who, what })
    },
    async step() {
      for (;;) {
        const event = events.pop()
        if (event === undefined) return false
        const { process, happen } = event
        if (event.isCancelled || process?.isDead) continue
        if (process !== undefined && process.frozenUntil > event.at) {
          event.at = process.frozenUntil
          events.push(event)
          continue
        }
        now = event.at
        running = process
        plannedNow = 0
        happen()
        // Of what our code waits for nothing is the machine's: one turn of its loop settles all.
        await new Promise<void>((resolve) => realSetImmediate(resolve))
        running = undefined
        return true
      }
    },
  }
}
