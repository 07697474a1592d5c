import { z } from 'zod'
import { type DailyTokensStore, storedDailyTokens } from '../daily-tokens.ts'
import { StoreError } from '../job-store.ts'
import type { Database } from './database.ts'
import { createDocumentWriter } from './document-writer.ts'
import { fields, toFields } from './values.ts'

const DAYS = 'dailyTokens'

/** Keeps the tokens of days in Firestore: `dailyTokens/{yyyy-mm-dd}`. Rejects with StoreError. */
export function createFirestoreDailyTokens(database: Database): DailyTokensStore {
  const put = createDocumentWriter(database)
  const nameOf = (day: string) => `${database.root}/${DAYS}/${day}`

  return {
    async note({ day, tokens, sweptAt }) {
      await put({ name: nameOf(day), fields: toFields({ day, tokens: { ...tokens }, sweptAt }) })
    },
    async read(day) {
      const { found } = getAnswer.parse(await database.get(nameOf(day)))
      if (!found) return undefined
      const parsed = storedDailyTokens.safeParse(found.fields)
      if (!parsed.success) throw new StoreError('corrupt', "a day's tokens in Firestore are malformed")
      return parsed.data
    },
  }
}

const getAnswer = z.object({ found: z.object({ fields }).nullish() })
