import type { DatabaseSync } from 'node:sqlite'
import { inTransaction, openSqlite, whenFree } from '../../lib/sqlite.ts'
import { translated } from './translated.ts'

/** Something that a file has once it was made: a table, its later columns, an index. */
export interface SchemaPart {
  isMade(db: DatabaseSync): boolean
  make(db: DatabaseSync): void
}

/** What a store keeps in its file. */
export interface Schema {
  /** The table first, then its later columns: made in no time, whatever the file holds. */
  readonly tables: readonly SchemaPart[]
  /**
   * What the worker needs to be quick. On a file that an earlier version filled each is built once, in seconds where it
   * holds a million records, and no other process writes meanwhile. So only a worker makes them, at its start.
   */
  readonly indexes: readonly SchemaPart[]
}

/** whole: with its indexes, as a worker needs them. tables: the rest, for a command that writes a little. */
export type SchemaExtent = 'whole' | 'tables'

/** How long to wait for another worker that builds the same. */
const GIVE_UP_MAKING_MS = 60_000

/**
 * Opens the database file of a store, makes what it lacks and resolves with what `use` makes of it.
 *
 * A file that lacks nothing is opened without a lock. It is closed again when any of it fails; closing it twice is
 * harmless. Rejects with StoreError.
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

/** One after the other, so that other processes write between two that take long; a fresh file is made in one go. */
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
