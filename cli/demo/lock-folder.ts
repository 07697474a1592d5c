import { join } from 'node:path'
import { openSqlite } from '../../shared/lib/sqlite.ts'

/**
 * Takes a folder for this process alone, until it is given back or the process ends, however it ends.
 *
 * Throws when another process has it: two demos on one file would take each other's jobs, and delete each other's state.
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
