import type { DatabaseSync, StatementSync } from 'node:sqlite'

/**
 * Prepares a statement at its first use. Returns undefined while its table is missing, and therefore empty.
 *
 * A file that is opened for reading may lack tables: no worker has created them yet, or an earlier version wrote the file.
 */
export function lazily(db: DatabaseSync, sql: string): () => StatementSync | undefined {
  let statement: StatementSync | undefined
  return () => {
    try {
      statement ??= db.prepare(sql)
      return statement
    } catch (error) {
      if (error instanceof Error && error.message.startsWith('no such table:')) return undefined
      throw error
    }
  }
}
