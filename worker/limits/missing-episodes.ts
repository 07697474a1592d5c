import type { Deployment } from '../../shared/config/schema.ts'
import type { WaitUntil } from '../../shared/identity/access-token-source.ts'
import type { Failure } from '../../shared/job/failures.ts'
import { nameOf } from '../../shared/models/circuits.ts'
import type { MissingDeployments } from '../../shared/stores/missing-deployments.ts'
import type { Log } from '../observe/log.ts'

export interface MissingEpisodesDependencies {
  readonly store: MissingDeployments
  /** Epoch milliseconds. */
  readonly now: () => number
  readonly log: Log
}

/** Measures how long deployments have been missing, across instances that live shorter than that. */
export interface MissingEpisodes {
  /**
   * Adds to the failure of a request that found its deployment missing how long it has been missing. While the store is
   * unavailable the time is unknown, and no job ends. Never rejects.
   */
  measure(deployment: Deployment, failure: Failure): Promise<Failure>
  /** The deployment answered, which ends the episode, whichever instance began it. */
  answered(deployment: Deployment, waitUntil: WaitUntil): void
}

/**
 * How often an answering deployment ends the episode in the store: less time than an episode has to last before jobs end, so
 * that no episode of another instance lasts so long.
 */
const END_EVERY_MS = 300_000
const TRY_AGAIN_AFTER_MS = 10_000

export function createMissingEpisodes({ store, now, log }: MissingEpisodesDependencies): MissingEpisodes {
  const measuring = new Map<string, Promise<number | undefined>>()
  /** When an answer is to end the episode next, by deployment: at the first answer after the start, and after each 404. */
  const endsDueAt = new Map<string, number>()

  async function found(name: string): Promise<number | undefined> {
    try {
      return await store.found(name)
    } catch (error) {
      log.warn({ deployment: name, error }, 'how long a deployment has been missing cannot be read now')
      return undefined
    }
  }

  /** Requests that find it missing together ask the store once. */
  function foundTogether(name: string): Promise<number | undefined> {
    const underWay = measuring.get(name)
    if (underWay !== undefined) return underWay
    const asked = found(name).finally(() => measuring.delete(name))
    measuring.set(name, asked)
    return asked
  }

  async function end(name: string): Promise<void> {
    endsDueAt.set(name, now() + END_EVERY_MS)
    try {
      await store.end(name)
    } catch (error) {
      endsDueAt.set(name, now() + TRY_AGAIN_AFTER_MS)
      log.warn({ deployment: name, error }, 'that a deployment is there again cannot be written now')
    }
  }

  return {
    async measure(deployment, failure) {
      const name = nameOf(deployment)
      endsDueAt.delete(name)
      const missingForMs = await foundTogether(name)
      return missingForMs === undefined ? failure : { ...failure, missingForMs }
    },
    answered(deployment, waitUntil) {
      const name = nameOf(deployment)
      if (now() >= (endsDueAt.get(name) ?? 0)) waitUntil(end(name))
    },
  }
}
