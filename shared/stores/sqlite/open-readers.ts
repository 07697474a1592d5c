import { existsSync } from 'node:fs'
import type { Clock } from '../../lib/clock.ts'
import { openSqliteReadOnly, whenFree } from '../../lib/sqlite.ts'
import type { BatchReader } from '../batch-store.ts'
import type { DeadLetterReader } from '../dead-letter-store.ts'
import { StoreError } from '../job-store.ts'
import type { TelemetryReader } from '../telemetry-store.ts'
import { isThere } from './open-tables.ts'
import { type RecordReads, recordReads } from './record-reads.ts'
import { readSqliteBatches } from './sqlite-batches.ts'
import { readSqliteDeadLetters } from './sqlite-dead-letters.ts'
import { readSqliteTelemetry } from './sqlite-telemetry.ts'
import { translated } from './translated.ts'

interface SqliteReaders {
  readonly documents: RecordReads
  readonly batches: BatchReader
  readonly deadLetters: DeadLetterReader
  readonly telemetry: TelemetryReader
  close(): void
}

/** A file with one of these tables is a database of Promptbridge. Publishing creates the last one, a worker the others. */
const OURS = ['promptJobs', 'promptBatches', 'deadLetters', 'tokenFailures', 'messages']

/**
 * Opens a database file for reading. It takes no lock, and creates and deletes nothing. A missing table is read as empty.
 *
 * `now` is the store's clock, in epoch milliseconds. Rejects with StoreError.
 */
export function openSqliteReaders(path: string, now: Clock): Promise<SqliteReaders> {
  return translated(async () => {
    if (!existsSync(path)) throw new StoreError('unavailable', `there is no file ${path}`)
    const db = await whenFree(() => openSqliteReadOnly(path))
    const close = () => {
      if (db.isOpen) db.close()
    }
    try {
      if (!(await whenFree(() => OURS.some((table) => isThere(db, table))))) {
        throw new StoreError(
          'unavailable',
          `${path} holds no jobs: no worker has made it, and nothing was submitted to it`,
        )
      }
      const [batches, telemetry] = [readSqliteBatches(db), readSqliteTelemetry(db)]
      return { documents: recordReads(db, now), batches, deadLetters: readSqliteDeadLetters(db), telemetry, close }
    } catch (error) {
      close()
      throw error
    }
  })
}
