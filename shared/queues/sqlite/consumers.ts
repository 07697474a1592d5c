import { existsSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { isBusy, openLockFile, whenFree } from '../../lib/sqlite.ts'

/** The mark of one process that it consumes the messages of a queue's file. It also ends with the process. */
export interface Consumer {
  close(): void
}

/**
 * Marks this process as a consumer. If there is no other, `whenAlone` runs first, and no other can start meanwhile.
 *
 * The marks are locks on a file beside the queue's, which the operating system releases when a process dies. Rejects with
 * SQLite's error.
 */
export async function joinConsumers(path: string, whenAlone: () => Promise<unknown>): Promise<Consumer> {
  const db = openLockFile(lockPath(path))
  try {
    if (isAlone(db)) {
      await whenAlone()
      db.exec('COMMIT')
    }
    await whenFree(() => db.exec('BEGIN; SELECT COUNT(*) FROM sqlite_schema'))
    return { close: () => db.close() }
  } catch (error) {
    db.close()
    throw error
  }
}

/** Whether a process consumes the messages of a queue's file now. Throws SQLite's error. */
export function hasConsumer(path: string): boolean {
  if (!existsSync(lockPath(path))) return false
  const db = openLockFile(lockPath(path))
  try {
    return !isAlone(db)
  } finally {
    db.close()
  }
}

/** Begins a transaction that no other process can share, unless another one has its mark. */
function isAlone(db: DatabaseSync): boolean {
  try {
    db.exec('BEGIN EXCLUSIVE')
    return true
  } catch (error) {
    if (isBusy(error)) return false
    throw error
  }
}

function lockPath(path: string): string {
  return `${path}-consumers`
}
