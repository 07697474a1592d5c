import { z } from 'zod'

/** Where instances agree on how long a deployment has been missing. Rejects with StoreError. */
export interface MissingDeployments {
  /**
   * Notes that a deployment was found missing.
   *
   * Resolves with how long its episode has lasted by the store's own clock, in milliseconds; 0 where it begins.
   */
  found(deployment: string): Promise<number>
  /** Ends the episode, if there is one: the deployment answered. */
  end(deployment: string): Promise<void>
}

/** The episode of a deployment as stores keep it: it is never deleted, so that its revisions fence. */
export interface StoredEpisode {
  readonly deployment: string
  /** How long it had lasted when it was written, in milliseconds. */
  readonly lastedMs: number
  readonly isOver: boolean
}

/** A deployment that was not found missing for so long may have been there meanwhile. */
const FORGOTTEN_AFTER_MS = 30 * 60_000

/** The episode with one more sighting. `ageMs`: since `before` was written, by the store's clock. */
export function withSighting(deployment: string, before: StoredEpisode | undefined, ageMs: number): StoredEpisode {
  const goesOn = before !== undefined && !before.isOver && ageMs < FORGOTTEN_AFTER_MS
  return { deployment, lastedMs: goesOn ? before.lastedMs + Math.max(0, Math.round(ageMs)) : 0, isOver: false }
}

/** Undefined where the document cannot be read: the episode begins then. */
export const storedEpisode = z
  .object({ deployment: z.string(), lastedMs: z.number(), isOver: z.boolean() })
  .optional()
  .catch(undefined)
