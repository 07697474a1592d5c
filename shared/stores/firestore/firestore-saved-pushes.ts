import { z } from 'zod'
import { type SavedPushes, storedPush } from '../../queues/pubsub/saved-push.ts'
import type { Database } from './database.ts'
import { createDocumentWriter } from './document-writer.ts'
import { fields, toFields } from './values.ts'

const CONTROLS = 'controls'

/** Keeps them in Firestore: `controls/{subscription}`, by its short name. */
export function createFirestoreSavedPushes(database: Database): SavedPushes {
  const put = createDocumentWriter(database)
  const nameOf = (subscription: string) => `${database.root}/${CONTROLS}/${subscription.split('/').at(-1)}`
  return {
    async put({ subscription, push, isPaused }) {
      const document = { subscription, push: JSON.stringify(push), isPaused }
      await put({ name: nameOf(subscription), fields: toFields(document) })
    },
    async find(subscription) {
      const { found } = answer.parse(await database.get(nameOf(subscription)))
      return found ? storedPush.parse(found.fields) : undefined
    },
  }
}

const answer = z.object({ found: z.object({ fields }).nullish() })
