import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import type { Clock } from '../../lib/clock.ts'
import { inTransaction, whenFree } from '../../lib/sqlite.ts'
import { type MissingDeployments, storedEpisode, withSighting } from '../missing-deployments.ts'
import { named, openTables } from './open-tables.ts'
import { translated } from './translated.ts'

const EPISODES = `
  CREATE TABLE missingDeployments (
    deployment TEXT PRIMARY KEY,
    lastedMs INTEGER NOT NULL,
    isOver INTEGER NOT NULL,
    lastAt INTEGER NOT NULL
  ) STRICT
`

/** Keeps them in the file that holds the records. `now`: epoch milliseconds. Rejects with StoreError. */
export function openSqliteMissingDeployments(
  path: string,
  now: Clock,
): Promise<MissingDeployments & { close(): void }> {
  const schema = { tables: [named('missingDeployments', EPISODES)], indexes: [] }
  return openTables(path, schema, 'tables', (db) => episodeTable(db, now))
}

function episodeTable(db: DatabaseSync, now: Clock): MissingDeployments {
  const select = db.prepare('SELECT * FROM missingDeployments WHERE deployment = ?')
  const replace = db.prepare('INSERT OR REPLACE INTO missingDeployments VALUES (:deployment, :lastedMs, 0, :lastAt)')
  const end = db.prepare('UPDATE missingDeployments SET isOver = 1 WHERE deployment = ? AND isOver = 0')

  function noteSighting(deployment: string): number {
    const at = now()
    const row = episodeRow.optional().parse(select.get(deployment))
    const { lastedMs } = withSighting(deployment, storedEpisode.parse(row), at - (row?.lastAt ?? at))
    replace.run({ deployment, lastedMs, lastAt: at })
    return lastedMs
  }

  return {
    found: (deployment) => translated(() => inTransaction(db, () => noteSighting(deployment))),
    async end(deployment) {
      await translated(() => whenFree(() => end.run(deployment)))
    },
  }
}

const episodeRow = z.object({
  deployment: z.string(),
  lastedMs: z.number(),
  isOver: z.number().transform((flag) => flag !== 0),
  lastAt: z.number(),
})
