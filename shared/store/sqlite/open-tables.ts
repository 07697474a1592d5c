import type { DatabaseSync } from 'node:sqlite'
import { inTransaction, openSqlite } from '../../sqlite.ts'
import { translated } from './translated.ts'

/**
 * Opens the database file of a store, makes its tables and gives what `use` makes of them.
 *
 * The file is closed again when any of it fails; closing it twice is harmless. Rejects with StoreError.
 */
export async function openTables<T>(
  path: string,
  makeTables: (db: DatabaseSync) => void,
  use: (db: DatabaseSync) => T,
): Promise<T & { close(): void }> {
  return translated(async () => {
    const db = openSqlite(path, 'FULL')
    const close = () => {
      if (db.isOpen) db.close()
    }
    try {
      await inTransaction(db, () => makeTables(db))
      return { ...use(db), close }
    } catch (error) {
      close()
      throw error
    }
  })
}

/** Adds columns to a table that an earlier version made. */
export function addColumns(
  db: DatabaseSync,
  table: string,
  columns: Readonly<Record<string, 'INTEGER' | 'TEXT'>>,
): void {
  const there = new Set(
    db
      .prepare(`PRAGMA table_info(${table})`)
      .all()
      .map((row) => row['name']),
  )
  for (const [column, type] of Object.entries(columns)) {
    if (!there.has(column)) db.exec(`ALTER TABLE ${table} ADD COLUMN ${column} ${type}`)
  }
}
