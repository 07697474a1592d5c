import type { DatabaseSync } from 'node:sqlite'
import { inTransaction, openSqlite, whenFree } from '../../lib/sqlite.ts'
import { translated } from './translated.ts'

/** An object of the schema: a table, its later columns, or an index. */
export interface SchemaPart {
  isMade(db: DatabaseSync): boolean
  make(db: DatabaseSync): void
}

/** What a store keeps in its file. */
export interface Schema {
  /** The table, then its later columns. They are created at once, even in a large file. */
  readonly tables: readonly SchemaPart[]
  /**
   * The indexes that a worker needs. In a file of an earlier version with a million records, each takes seconds to build,
   * and no other process can write meanwhile. Therefore only a worker builds them, at its start.
   */
  readonly indexes: readonly SchemaPart[]
}

/** whole: with its indexes, as a worker needs them. tables: the rest, for a command that writes a little. */
export type SchemaExtent = 'whole' | 'tables'

/** How long to wait for another worker that builds the same indexes. */
const GIVE_UP_MAKING_MS = 60_000

/**
 * Opens the database file of a store, creates missing tables and indexes, and resolves with the result of `use`.
 *
 * A complete file is opened without a lock. If a step fails, the file is closed; closing it twice is harmless. Rejects
 * with StoreError.
 */
export async function openTables<T>(
  path: string,
  { tables, indexes }: Schema,
  extent: SchemaExtent,
  use: (db: DatabaseSync) => T,
): Promise<T & { close(): void }> {
  return translated(async () => {
    const db = openSqlite(path, 'FULL')
    const close = () => {
      if (db.isOpen) db.close()
    }
    try {
      await makeMissing(db, extent === 'whole' ? [...tables, ...indexes] : tables)
      return { ...use(db), close }
    } catch (error) {
      close()
      throw error
    }
  })
}

/** Builds one index at a time, so that other processes can write in between. A new file is created in one transaction. */
async function makeMissing(db: DatabaseSync, parts: readonly SchemaPart[]): Promise<void> {
  const [first] = parts
  const isFresh = first !== undefined && !(await whenFree(() => first.isMade(db)))
  const groups = isFresh ? [parts] : parts.map((part) => [part])
  for (const group of groups) {
    const missing = () => group.filter((part) => !part.isMade(db))
    if ((await whenFree(missing)).length === 0) continue
    const make = () => {
      for (const part of missing()) part.make(db)
    }
    await inTransaction(db, make, GIVE_UP_MAKING_MS)
  }
}

/** A table, or an index, and what `sql` makes with it. */
export function named(name: string, sql: string): SchemaPart {
  return { isMade: (db) => isThere(db, name), make: (db) => db.exec(sql) }
}

/** Columns of a table that earlier versions made without them. */
export function laterColumns(table: string, columns: Readonly<Record<string, 'INTEGER' | 'TEXT'>>): SchemaPart {
  const missing = (db: DatabaseSync) => {
    const info = db.prepare('SELECT name FROM pragma_table_info(?)').all(table)
    const there = new Set(info.map(({ name }) => name))
    return Object.entries(columns).filter(([column]) => !there.has(column))
  }
  return {
    isMade: (db) => missing(db).length === 0,
    make: (db) => {
      for (const [column, type] of missing(db)) db.exec(`ALTER TABLE ${table} ADD COLUMN ${column} ${type}`)
    },
  }
}

/** Whether the file has a table, or an index, of that name. */
export function isThere(db: DatabaseSync, name: string): boolean {
  return db.prepare('SELECT 1 FROM sqlite_schema WHERE name = ?').get(name) !== undefined
}
