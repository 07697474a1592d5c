import type { DatabaseSync } from 'node:sqlite'
import { whenFree } from '../../sqlite.ts'
import { type BatchStore, storedBatch } from '../batch-store.ts'
import { addColumns, openTables } from './open-tables.ts'
import { translated } from './translated.ts'

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS promptBatches (
    name TEXT PRIMARY KEY,
    createdAt INTEGER NOT NULL,
    total INTEGER,
    completedAt INTEGER,
    cancelledAt INTEGER
  ) STRICT;
`

/** Keeps batches in the file that holds the records. Rejects with StoreError. */
export function openSqliteBatches(path: string): Promise<BatchStore & { close(): void }> {
  return openTables(path, makeTables, batchTable)
}

function makeTables(db: DatabaseSync): void {
  db.exec(SCHEMA)
  addColumns(db, 'promptBatches', ['cancelledAt'])
}

function batchTable(db: DatabaseSync): BatchStore {
  const insert = db.prepare('INSERT INTO promptBatches (name, createdAt) VALUES (?, ?) ON CONFLICT (name) DO NOTHING')
  const seal = db.prepare('UPDATE promptBatches SET total = ? WHERE name = ?')
  const complete = db.prepare('UPDATE promptBatches SET completedAt = ? WHERE name = ?')
  const cancel = db.prepare('UPDATE promptBatches SET cancelledAt = ? WHERE name = ?')
  const one = db.prepare('SELECT * FROM promptBatches WHERE name = ?')
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
    read: (name) => translated(() => whenFree(() => storedBatch.optional().parse(one.get(name)))),
    latest: () => translated(() => whenFree(() => storedBatch.optional().parse(latest.get()))),
  }
}
