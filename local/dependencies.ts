import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'

/** The clock, the timer and the random source of a stand-in. A test can replace them. */
export interface Dependencies {
  /** Epoch milliseconds. */
  readonly now: () => number
  /** A number in [0, 1). */
  readonly random: () => number
  readonly newId: () => string
  /** Resolves after so many milliseconds; rejects with an AbortError when the stand-in closes. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>
}

export const realDependencies: Dependencies = {
  now: Date.now,
  random: Math.random,
  newId: randomUUID,
  wait: (ms, signal) => delay(ms, undefined, { signal }),
}
