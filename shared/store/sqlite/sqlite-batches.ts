import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { whenFree } from '../../sqlite.ts'
import type { Batch, BatchStore } from '../batch-store.ts'
import { openTables } from './open-tables.ts'
import { translated } from './translated.ts'

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS promptBatches (
    name TEXT PRIMARY KEY,
    createdAt INTEGER NOT NULL,
    total INTEGER,
    completedAt INTEGER
  ) STRICT;
`

/** Keeps batches in the file that holds the records. Rejects with StoreError. */
export function openSqliteBatches(path: string): Promise<BatchStore> {
  return openTables(path, (db) => db.exec(SCHEMA), batchTable)
}

function batchTable(db: DatabaseSync): Omit<BatchStore, 'close'> {
  const insert = db.prepare('INSERT INTO promptBatches (name, createdAt) VALUES (?, ?)')
  const seal = db.prepare('UPDATE promptBatches SET total = ? WHERE name = ?')
  const complete = db.prepare('UPDATE promptBatches SET completedAt = ? WHERE name = ?')
  const latest = db.prepare('SELECT * FROM promptBatches ORDER BY createdAt DESC, rowid DESC LIMIT 1')
  const write = async (work: () => unknown) => {
    await translated(() => whenFree(work))
  }
  return {
    open: (name, now) => write(() => insert.run(name, now)),
    seal: (name, total) => write(() => seal.run(total, name)),
    complete: (name, now) => write(() => complete.run(now, name)),
    latest: () => translated(() => whenFree(() => toBatch(latest.get()))),
  }
}

const batchRow = z.object({
  name: z.string(),
  createdAt: z.number(),
  total: z.number().nullable(),
  completedAt: z.number().nullable(),
})

function toBatch(row: unknown): Batch | undefined {
  if (row === undefined) return undefined
  const { name, createdAt, total, completedAt } = batchRow.parse(row)
  if (total === null) return { status: 'open', name, createdAt }
  if (completedAt === null) return { status: 'sealed', name, createdAt, total }
  return { status: 'completed', name, createdAt, total, completedAt }
}
