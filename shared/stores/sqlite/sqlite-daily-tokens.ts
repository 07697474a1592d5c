import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { whenFree } from '../../lib/sqlite.ts'
import { type DailyTokensStore, storedDailyTokens } from '../daily-tokens.ts'
import { named, openTables } from './open-tables.ts'
import { translated } from './translated.ts'

const DAYS = `
  CREATE TABLE dailyTokens (
    day TEXT PRIMARY KEY,
    promptTokens INTEGER NOT NULL,
    completionTokens INTEGER NOT NULL,
    sweptAt INTEGER NOT NULL
  ) STRICT
`

/** Keeps the tokens of days in the file that holds the records. Rejects with StoreError. */
export function openSqliteDailyTokens(path: string): Promise<DailyTokensStore & { close(): void }> {
  return openTables(path, { tables: [named('dailyTokens', DAYS)], indexes: [] }, 'tables', dayTable)
}

function dayTable(db: DatabaseSync): DailyTokensStore {
  const replace = db.prepare(
    'INSERT OR REPLACE INTO dailyTokens VALUES (:day, :promptTokens, :completionTokens, :sweptAt)',
  )
  const select = db.prepare('SELECT * FROM dailyTokens WHERE day = ?')
  return {
    async note({ day, tokens: { promptTokens, completionTokens }, sweptAt }) {
      await translated(() => whenFree(() => replace.run({ day, sweptAt, promptTokens, completionTokens })))
    },
    read: (day) => translated(() => whenFree(() => dayRow.optional().parse(select.get(day)))),
  }
}

const dayRow = z
  .object({ day: z.string(), promptTokens: z.number(), completionTokens: z.number(), sweptAt: z.number() })
  .transform(({ day, sweptAt, ...tokens }) => ({ day, tokens, sweptAt }))
  .pipe(storedDailyTokens)
