import type { DatabaseSync, StatementSync } from 'node:sqlite'

/**
 * A statement that is prepared when it is first needed; undefined while its table is not there, and so holds nothing.
 *
 * A file that is opened for reading may be one in which no worker has made its tables yet, or an earlier version's.
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
