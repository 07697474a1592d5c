import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { whenFree } from '../../lib/sqlite.ts'
import type { PausedDeployments } from '../paused-deployments.ts'
import { named, openTables } from './open-tables.ts'
import { translated } from './translated.ts'

const PAUSED = 'CREATE TABLE pausedDeployments (deployment TEXT PRIMARY KEY) STRICT'

/** Keeps them in the file that holds the records. Rejects with StoreError. */
export function openSqlitePausedDeployments(path: string): Promise<PausedDeployments & { close(): void }> {
  const schema = { tables: [named('pausedDeployments', PAUSED)], indexes: [] }
  return openTables(path, schema, 'tables', pausedTable)
}

function pausedTable(db: DatabaseSync): PausedDeployments {
  const select = db.prepare('SELECT deployment FROM pausedDeployments')
  const insert = db.prepare('INSERT OR IGNORE INTO pausedDeployments VALUES (?)')
  const remove = db.prepare('DELETE FROM pausedDeployments WHERE deployment = ?')
  const changed = (run: () => { readonly changes: number | bigint }) =>
    translated(async () => Number((await whenFree(run)).changes) > 0)
  return {
    list: () => translated(() => whenFree(() => rows.parse(select.all()))),
    pause: (deployment) => changed(() => insert.run(deployment)),
    resume: (deployment) => changed(() => remove.run(deployment)),
  }
}

const rows = z.array(z.object({ deployment: z.string() }).transform(({ deployment }) => deployment))
