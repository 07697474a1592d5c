import { DatabaseSync } from 'node:sqlite'
import pRetry from 'p-retry'

const SQLITE_BUSY = 5
const OPEN_TIMEOUT_MS = 5_000
const BUSY_TIMEOUT_MS = 2
const GIVE_UP_AFTER_MS = 5_000

export type Durability = 'FULL' | 'NORMAL'

/**
 * Opens a database file that several processes share.
 *
 * FULL: a commit survives a power cut. NORMAL: it survives the end of the process, not a power cut.
 */
export function openSqlite(path: string, durability: Durability): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: OPEN_TIMEOUT_MS })
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${durability}; PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`)
  return db
}

/**
 * Runs one short unit of work in a write transaction and tries again while another process holds the lock.
 *
 * node:sqlite blocks the event loop for as long as its busy timeout lasts, so the timeout is kept at 2 ms and the
 * wait happens between tries. Rejects with SQLite's own error after 5 s of a busy database.
 */
export async function inTransaction<T>(db: DatabaseSync, work: () => T): Promise<T> {
  return whenFree(() => {
    db.exec('BEGIN IMMEDIATE')
    try {
      const result = work()
      db.exec('COMMIT')
      return result
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK')
      throw error
    }
  })
}

/** Runs one statement, or a few, and tries again while the database is busy. */
export async function whenFree<T>(work: () => T): Promise<T> {
  return pRetry(work, {
    retries: 1_000,
    minTimeout: 1,
    factor: 1.5,
    maxTimeout: 25,
    randomize: true,
    maxRetryTime: GIVE_UP_AFTER_MS,
    shouldRetry: ({ error }) => isBusy(error),
  })
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && (Number(error.errcode) & 0xff) === SQLITE_BUSY
}
