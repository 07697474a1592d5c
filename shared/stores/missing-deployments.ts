import { z } from 'zod'

/** Shares between instances how long a deployment has been missing. Rejects with StoreError. */
export interface MissingDeployments {
  /**
   * Notes that a deployment was found missing.
   *
   * Resolves with the length of its episode by the store's clock, in milliseconds. A new episode has length 0.
   */
  found(deployment: string): Promise<number>
  /** Ends the episode, if there is one: the deployment answered. */
  end(deployment: string): Promise<void>
}

/** The stored episode of a deployment. It is never deleted, so that its revision fences writes. */
export interface StoredEpisode {
  readonly deployment: string
  /** How long it had lasted when it was written, in milliseconds. */
  readonly lastedMs: number
  readonly isOver: boolean
}

/** If a deployment was not found missing for this long, it may have existed meanwhile. A new episode begins then. */
const FORGOTTEN_AFTER_MS = 30 * 60_000

/** The episode with one more sighting. `ageMs`: since `before` was written, by the store's clock. */
export function withSighting(deployment: string, before: StoredEpisode | undefined, ageMs: number): StoredEpisode {
  const goesOn = before !== undefined && !before.isOver && ageMs < FORGOTTEN_AFTER_MS
  return { deployment, lastedMs: goesOn ? before.lastedMs + Math.max(0, Math.round(ageMs)) : 0, isOver: false }
}

/** Undefined if the document cannot be read. A new episode begins then. */
export const storedEpisode = z
  .object({ deployment: z.string(), lastedMs: z.number(), isOver: z.boolean() })
  .optional()
  .catch(undefined)
