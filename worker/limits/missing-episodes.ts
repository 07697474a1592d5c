import { type Deployment, placeOf } from '../../shared/config/deployments.ts'
import type { WaitUntil } from '../../shared/identity/access-token-source.ts'
import type { Failure } from '../../shared/job/failures.ts'
import type { Clock } from '../../shared/lib/clock.ts'
import type { MissingDeployments } from '../../shared/stores/missing-deployments.ts'
import type { Log } from '../observe/log.ts'

export interface MissingEpisodesDependencies {
  readonly store: MissingDeployments
  readonly now: Clock
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

  async function found(place: string): Promise<number | undefined> {
    try {
      return await store.found(place)
    } catch (error) {
      log.warn({ deployment: place, error }, 'how long a deployment has been missing cannot be read now')
      return undefined
    }
  }

  /** Requests that find it missing together ask the store once. */
  function foundTogether(place: string): Promise<number | undefined> {
    const underWay = measuring.get(place)
    if (underWay !== undefined) return underWay
    const asked = found(place).finally(() => measuring.delete(place))
    measuring.set(place, asked)
    return asked
  }

  async function end(place: string): Promise<void> {
    endsDueAt.set(place, now() + END_EVERY_MS)
    try {
      await store.end(place)
    } catch (error) {
      endsDueAt.set(place, now() + TRY_AGAIN_AFTER_MS)
      log.warn({ deployment: place, error }, 'that a deployment is there again cannot be written now')
    }
  }

  return {
    async measure(deployment, failure) {
      const place = placeOf(deployment)
      endsDueAt.delete(place)
      const missingForMs = await foundTogether(place)
      return missingForMs === undefined ? failure : { ...failure, missingForMs }
    },
    answered(deployment, waitUntil) {
      const place = placeOf(deployment)
      if (now() >= (endsDueAt.get(place) ?? 0)) waitUntil(end(place))
    },
  }
}
