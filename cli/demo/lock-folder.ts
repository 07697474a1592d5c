import { join } from 'node:path'
import { openSqlite } from '../../shared/lib/sqlite.ts'

/**
 * Locks a folder for this process, until the lock is disposed or the process ends.
 *
 * Throws when another process holds the lock: two demos on one file would run each other's jobs and delete each other's
 * state. Two of `dev` would push each other's events.
 */
export function lockFolder(folder: string, name: 'demo' | 'dev' = 'demo'): Disposable {
  const lock = openSqlite(join(folder, `${name}.lock`), 'NORMAL')
  try {
    lock.exec('BEGIN IMMEDIATE')
  } catch (cause) {
    lock.close()
    throw new Error(`another ${name} runs in ${folder}; wait for its end, or use another folder`, { cause })
  }
  return { [Symbol.dispose]: () => lock.close() }
}
