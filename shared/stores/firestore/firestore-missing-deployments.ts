import { z } from 'zod'
import type { Clock } from '../../lib/clock.ts'
import { StoreError } from '../job-store.ts'
import { type MissingDeployments, type StoredEpisode, storedEpisode, withSighting } from '../missing-deployments.ts'
import type { Database } from './database.ts'
import { createDocumentWriter } from './document-writer.ts'
import { timestamp, toEpochMs } from './protocol.ts'
import { fields, toFields } from './values.ts'

const EPISODES = 'missingDeployments'
/** Instances that find a deployment missing in the same moment write one document. */
const TRIES = 5

/** An episode goes on for as long as it is found again within half an hour. */
const KEPT_MS = 86_400_000

/** Keeps them in Firestore: `missingDeployments/{deployment}`. `now`: epoch milliseconds. Rejects with StoreError. */
export function createFirestoreMissingDeployments(database: Database, now: Clock): MissingDeployments {
  const put = createDocumentWriter(database)
  // No document may be named `.`, `..` or `__x__`.
  const nameOf = (deployment: string) => `${database.root}/${EPISODES}/id:${encodeURIComponent(deployment)}`

  /** Writes the next state of the episode. If another instance writes first, the state is computed from its write. */
  async function change(
    deployment: string,
    next: (before: StoredEpisode | undefined, ageMs: number) => StoredEpisode | undefined,
  ): Promise<StoredEpisode | undefined> {
    for (let tries = 0; tries < TRIES; tries += 1) {
      const { found, readTime } = getAnswer.parse(await database.get(nameOf(deployment)))
      const ageMs = found ? toEpochMs(readTime) - toEpochMs(found.updateTime) : 0
      const after = next(storedEpisode.parse(found?.fields), ageMs)
      if (after === undefined) return undefined
      // Without the time, a write without other changes would not change the revision, which dates the document.
      const document = toFields({ ...after, lastAt: now(), expireAt: now() + KEPT_MS })
      const precondition = found ? { updateTime: found.updateTime } : { exists: false as const }
      const { kind } = await put({ name: nameOf(deployment), fields: document, precondition })
      if (kind === 'written') return after
    }
    throw new StoreError('unavailable', 'the episode of a missing deployment is being written by others')
  }

  return {
    async found(deployment) {
      const after = await change(deployment, (before, ageMs) => withSighting(deployment, before, ageMs))
      return after?.lastedMs ?? 0
    },
    async end(deployment) {
      await change(deployment, (before) => (before?.isOver === false ? { ...before, isOver: true } : undefined))
    },
  }
}

const getAnswer = z.object({
  readTime: timestamp,
  found: z.object({ fields: fields.catch({}), updateTime: timestamp }).nullish(),
})
