import type { Clock } from '../../shared/lib/clock.ts'
import { settlesWithin } from '../../shared/lib/settles-within.ts'
import type { PausedDeployments } from '../../shared/stores/paused-deployments.ts'
import type { Log } from '../observe/log.ts'

export interface PausesDependencies {
  readonly store: Pick<PausedDeployments, 'list'>
  readonly now: Clock
  readonly log: Log
}

/** Knows which deployments an operator has paused. */
export interface Pauses {
  /** Resolves with the names of the paused ones. Never rejects: while the store is unavailable, the last known ones count. */
  paused(): Promise<ReadonlySet<string>>
}

const READ_EVERY_MS = 5_000
/** A job waits no longer than this for them to be read. */
const MAX_WAIT_MS = 1_000

/** Reads them every five seconds at most, and only while jobs arrive. */
export function createPauses({ store, now, log }: PausesDependencies): Pauses {
  let known: ReadonlySet<string> = new Set()
  let readAt = Number.NEGATIVE_INFINITY
  let reading: Promise<void> | undefined

  async function read(): Promise<void> {
    try {
      known = new Set(await store.list())
    } catch (error) {
      log.warn({ error }, 'the paused deployments cannot be read now: the last known ones stay paused')
    } finally {
      reading = undefined
    }
  }

  return {
    async paused() {
      // A clock that was set back counts as time that has passed.
      if (reading === undefined && Math.abs(now() - readAt) >= READ_EVERY_MS) {
        readAt = now()
        reading = read()
      }
      if (reading !== undefined) await settlesWithin(reading, MAX_WAIT_MS)
      return known
    },
  }
}
