import { join } from 'node:path'
import { openSqlite } from '../../shared/lib/sqlite.ts'

/**
 * Locks a folder for this process, until the lock is disposed or the process ends.
 *
 * Throws when another process holds the lock: two demos on one file would run each other's jobs and delete each other's
 * state.
 */
export function lockFolder(folder: string): Disposable {
  const lock = openSqlite(join(folder, 'demo.lock'), 'NORMAL')
  try {
    lock.exec('BEGIN IMMEDIATE')
  } catch (cause) {
    lock.close()
    throw new Error(`another demo runs in ${folder}; wait for its end, or name another --folder`, { cause })
  }
  return { [Symbol.dispose]: () => lock.close() }
}
