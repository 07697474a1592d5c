import type { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../../lib/clock.ts'
import { inTransaction, openSqlite, whenFree } from '../../lib/sqlite.ts'

/**
 * How many rows of a table one transaction deletes. It holds the write lock for some milliseconds, because a part or a
 * dead letter may have megabytes. Records are deleted before their parts, so no record names deleted parts.
 */
const ROWS_AT_ONCE = {
  promptJobs: 100,
  promptJobParts: 10,
  deadLetters: 10,
  tokenFailures: 100,
  workerInstances: 100,
}
/** Between two transactions. */
const PAUSE_MS = 20
const ROUND_MS = 60_000

/**
 * Deletes expired rows once a minute, a few at a time, until it is closed. The tables must exist.
 *
 * `now`: epoch milliseconds. If the database is busy, the rows are deleted a minute later. Throws SQLite's error if the
 * file cannot be opened.
 */
export function startExpiry(path: string, now: Clock): { close(): Promise<void> } {
  // NORMAL: rows that a power failure restores are deleted again.
  const db = openSqlite(path, 'NORMAL')
  const closing = new AbortController()
  const { signal } = closing
  const rounds = async () => {
    while (!signal.aborted) {
      await deleteExpired(db, now(), signal).catch(() => undefined)
      await pause(ROUND_MS, signal)
    }
  }
  const ended = rounds()
  return {
    async close() {
      closing.abort()
      await ended
      db.close()
    },
  }
}

/**
 * Deletes the expired rows of every table. Takes no lock if there are none. `at`: epoch milliseconds. Rejects with
 * SQLite's error.
 */
export async function deleteExpired(db: DatabaseSync, at: number, signal: AbortSignal): Promise<void> {
  for (const [table, rows] of Object.entries(ROWS_AT_ONCE)) {
    const some = db.prepare(`SELECT 1 FROM ${table} WHERE expireAt < ? LIMIT 1`)
    const remove = db.prepare(
      `DELETE FROM ${table} WHERE rowid IN (SELECT rowid FROM ${table} WHERE expireAt < ? LIMIT ${rows})`,
    )
    while (!signal.aborted && (await whenFree(() => some.get(at))) !== undefined) {
      await inTransaction(db, () => remove.run(at))
      await pause(PAUSE_MS, signal)
    }
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { ref: false, signal }).catch(() => undefined)
}
