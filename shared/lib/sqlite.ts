import { closeSync, lstatSync, openSync, readlinkSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import pRetry from 'p-retry'
import { PRIVATE_FILE } from './private-files.ts'

const SQLITE_BUSY = 5
const BUSY_TIMEOUT_MS = 2
const GIVE_UP_AFTER_MS = 5_000
const OPEN_PAUSE_MS = 3
const OPEN_TRIES = GIVE_UP_AFTER_MS / (BUSY_TIMEOUT_MS + OPEN_PAUSE_MS)

export type Durability = 'FULL' | 'NORMAL'

/**
 * Opens a database file that several processes share.
 *
 * A new file is readable only by its owner; an existing one keeps its mode. FULL: a commit survives a power failure.
 * NORMAL: it survives the end of the process, but not a power failure. Blocks while another process creates the file, and
 * throws SQLite's error after 5 s.
 */
export function openSqlite(path: string, durability: Durability, pause = blockBriefly): DatabaseSync {
  createPrivately(path)
  const db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS })
  try {
    useWriteAheadLog(db, pause)
    db.exec(`PRAGMA synchronous = ${durability}`)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/**
 * Opens a database file to read it: it takes no lock, makes nothing, and waits for no writer.
 *
 * Throws SQLite's error if there is no file.
 */
export function openSqliteReadOnly(path: string): DatabaseSync {
  return new DatabaseSync(path, { readOnly: true, timeout: BUSY_TIMEOUT_MS })
}

/** Opens a file whose locks several processes share, and which holds nothing. Without a write-ahead log readers lock it. */
export function openLockFile(path: string): DatabaseSync {
  createPrivately(path)
  return new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS })
}

/**
 * Creates the file before SQLite does, which would leave its mode to the umask. The log and its index get the mode of
 * the file.
 *
 * `wx` never opens an existing file: to close one again would release the locks that this process holds on it. It
 * follows no link either, so the target is named.
 */
function createPrivately(path: string): void {
  if (path === ':memory:' || path.startsWith('file:')) return
  try {
    const isLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()
    const target = isLink ? resolve(dirname(path), readlinkSync(path)) : path
    closeSync(openSync(target, 'wx', PRIVATE_FILE))
  } catch {
    // The file exists, or SQLite reports what is wrong with the path.
  }
}

/** While another process creates the same file, SQLite refuses this at once and ignores the timeout. */
function useWriteAheadLog(db: DatabaseSync, pause: () => void): void {
  for (let tries = 1; ; tries += 1) {
    try {
      db.exec('PRAGMA journal_mode = WAL')
      return
    } catch (error) {
      if (!isBusy(error) || tries >= OPEN_TRIES) throw error
      pause()
    }
  }
}

function blockBriefly(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, OPEN_PAUSE_MS)
}

/**
 * Runs one short unit of work in a write transaction and tries again while another process holds the lock.
 *
 * node:sqlite blocks the event loop for as long as its busy timeout lasts, so the timeout is kept at 2 ms and the
 * wait happens between tries. Rejects with SQLite's own error after `giveUpAfterMs` of a busy database.
 */
export async function inTransaction<T>(db: DatabaseSync, work: () => T, giveUpAfterMs = GIVE_UP_AFTER_MS): Promise<T> {
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
  }, giveUpAfterMs)
}

/** Runs one statement, or a few, and tries again while the database is busy. */
export async function whenFree<T>(work: () => T, giveUpAfterMs = GIVE_UP_AFTER_MS): Promise<T> {
  return pRetry(work, {
    retries: Number.POSITIVE_INFINITY,
    minTimeout: 1,
    factor: 1.5,
    maxTimeout: 25,
    randomize: true,
    maxRetryTime: giveUpAfterMs,
    shouldRetry: ({ error }) => isBusy(error),
  })
}

/** Whether another process held the lock. */
export function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && (Number(error.errcode) & 0xff) === SQLITE_BUSY
}
