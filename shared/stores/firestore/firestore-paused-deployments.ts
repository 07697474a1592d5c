import { z } from 'zod'
import { StoreError } from '../job-store.ts'
import { type PausedDeployments, storedPauses } from '../paused-deployments.ts'
import type { Database } from './database.ts'
import { createDocumentWriter } from './document-writer.ts'
import { timestamp } from './protocol.ts'
import { fields, toFields } from './values.ts'

/** Two operators may change it at once. */
const TRIES = 5

/**
 * Keeps them in Firestore: `controls/deployments:paused`. One document, so that an instance reads them all at once. No
 * subscription can have this name. Rejects with StoreError.
 */
export function createFirestorePausedDeployments(database: Database): PausedDeployments {
  const put = createDocumentWriter(database)
  const name = `${database.root}/controls/deployments:paused`

  async function read() {
    const { found } = answer.parse(await database.get(name))
    return { deployments: storedPauses.parse(found?.fields), updateTime: found?.updateTime }
  }

  async function change(next: (before: readonly string[]) => readonly string[]): Promise<boolean> {
    for (let tries = 0; tries < TRIES; tries += 1) {
      const { deployments: before, updateTime } = await read()
      const after = next(before)
      if (after.length === before.length) return false
      const precondition = updateTime === undefined ? { exists: false } : { updateTime }
      const { kind } = await put({ name, fields: toFields({ deployments: after }), precondition })
      if (kind === 'written') return true
    }
    throw new StoreError('unavailable', 'the list of paused deployments is being changed by others')
  }

  return {
    list: async () => (await read()).deployments,
    pause: (deployment) => change((before) => [...new Set([...before, deployment])]),
    resume: (deployment) => change((before) => before.filter((each) => each !== deployment)),
  }
}

const answer = z.object({ found: z.object({ fields: fields.catch({}), updateTime: timestamp }).nullish() })
