import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { whenFree } from '../../sqlite.ts'
import { type BatchStore, isUnfinished, storedBatch, type UnfinishedBatches } from '../batch-store.ts'
import { jsonText } from './json-text.ts'
import { laterColumns, named, openTables, type Schema, type SchemaExtent } from './open-tables.ts'
import { translated } from './translated.ts'

const BATCHES = `
  CREATE TABLE promptBatches (
    name TEXT PRIMARY KEY,
    createdAt INTEGER NOT NULL,
    total INTEGER,
    completedAt INTEGER,
    cancelledAt INTEGER,
    tokenLimit INTEGER,
    sweptAt INTEGER,
    totals TEXT
  ) STRICT
`

const LATER_COLUMNS = { cancelledAt: 'INTEGER', tokenLimit: 'INTEGER', sweptAt: 'INTEGER', totals: 'TEXT' } as const

const schema: Schema = {
  tables: [named('promptBatches', BATCHES), laterColumns('promptBatches', LATER_COLUMNS)],
  indexes: [],
}

/** Keeps batches in the file that holds the records. Rejects with StoreError. */
export function openSqliteBatches(
  path: string,
  extent: SchemaExtent = 'whole',
): Promise<BatchStore & UnfinishedBatches & { close(): void }> {
  return openTables(path, schema, extent, batchTable)
}

function batchTable(db: DatabaseSync): BatchStore & UnfinishedBatches {
  const insert = db.prepare('INSERT INTO promptBatches (name, createdAt) VALUES (?, ?) ON CONFLICT (name) DO NOTHING')
  const seal = db.prepare('UPDATE promptBatches SET total = ?, completedAt = NULL WHERE name = ?')
  const complete = db.prepare('UPDATE promptBatches SET completedAt = ? WHERE name = ? AND completedAt IS NULL')
  const cancel = db.prepare('UPDATE promptBatches SET cancelledAt = ? WHERE name = ?')
  const limit = db.prepare('UPDATE promptBatches SET tokenLimit = ?, completedAt = NULL WHERE name = ?')
  const one = db.prepare('SELECT * FROM promptBatches WHERE name = ?')
  const note = db.prepare('UPDATE promptBatches SET sweptAt = ?, totals = ? WHERE name = ?')
  const unfinished = db.prepare(`SELECT * FROM promptBatches WHERE completedAt IS NULL
    AND (total IS NOT NULL OR tokenLimit IS NOT NULL) ORDER BY sweptAt, name LIMIT ?`)
  const latest = db.prepare('SELECT * FROM promptBatches ORDER BY createdAt DESC, rowid DESC LIMIT 1')
  const write = async (work: () => unknown) => {
    await translated(() => whenFree(work))
  }
  return {
    open: (name, now) => write(() => insert.run(name, now)),
    seal: (name, total) => write(() => seal.run(total, name)),
    complete: (name, now) => write(() => complete.run(now, name)),
    cancel: (name, now) =>
      write(() => {
        insert.run(name, now)
        cancel.run(now, name)
      }),
    limitTokens: (name, tokenLimit, now) =>
      write(() => {
        insert.run(name, now)
        limit.run(tokenLimit, name)
      }),
    read: (name) => translated(() => whenFree(() => batchRow.optional().parse(one.get(name)))),
    unfinished: (limit) =>
      translated(() =>
        whenFree(() =>
          unfinished
            .all(limit)
            .flatMap((row) => batchRow.safeParse(row).data ?? [])
            .filter(isUnfinished),
        ),
      ),
    note: (name, { sweptAt, ...totals }) => write(() => note.run(sweptAt, JSON.stringify(totals), name)),
    latest: () => translated(() => whenFree(() => batchRow.optional().parse(latest.get()))),
  }
}

/** The next sweep counts anew, so totals that are not of our form are none. */
const totals = jsonText.nullable().catch(null)
const batchRow = z
  .looseObject({ totals, sweptAt: z.number().nullable() })
  .transform(({ totals, sweptAt, ...row }) =>
    typeof totals === 'object' && totals !== null ? { ...row, ...totals, sweptAt } : row,
  )
  .pipe(storedBatch)
