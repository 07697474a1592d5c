import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { whenFree } from '../../sqlite.ts'
import { kept, type TelemetryKind, tokenFailureKind, toListing, workerInstanceKind } from '../telemetry-documents.ts'
import type { TelemetryStore } from '../telemetry-store.ts'
import { openTables } from './open-tables.ts'
import { translated } from './translated.ts'

/** SQLite takes a negative limit for none. */
const ALL = -1

/**
 * Keeps telemetry in the file that holds the records.
 *
 * `now`: epoch milliseconds. What has expired is deleted at opening. Rejects with StoreError.
 */
export function openSqliteTelemetry(path: string, now: () => number): Promise<TelemetryStore & { close(): void }> {
  return openTables(path, (db) => makeTables(db, now()), telemetryTables)
}

function makeTables(db: DatabaseSync, at: number): void {
  for (const { collection } of [tokenFailureKind, workerInstanceKind]) {
    db.exec(`
      CREATE TABLE IF NOT EXISTS ${collection} (
        id TEXT PRIMARY KEY,
        at INTEGER NOT NULL,
        expireAt INTEGER NOT NULL,
        document TEXT NOT NULL
      ) STRICT;
      CREATE INDEX IF NOT EXISTS ${collection}ByTime ON ${collection} (at);
    `)
    db.prepare(`DELETE FROM ${collection} WHERE expireAt < ?`).run(at)
  }
}

function telemetryTables(db: DatabaseSync): TelemetryStore {
  const failures = telemetryTable(db, tokenFailureKind)
  const instances = telemetryTable(db, workerInstanceKind)
  return {
    putTokenFailure: failures.put,
    putInstance: instances.put,
    tokenFailures: failures.since,
    instances: instances.since,
  }
}

function telemetryTable<T extends { readonly expireAt: number }>(
  db: DatabaseSync,
  { collection, schema, idOf, timeOf }: TelemetryKind<T>,
) {
  const replace = db.prepare(`INSERT OR REPLACE INTO ${collection} VALUES (:id, :at, :expireAt, :document)`)
  const select = db.prepare(`SELECT document FROM ${collection} WHERE at >= ? ORDER BY at DESC, id DESC LIMIT ?`)

  return {
    async put(document: T) {
      const whole = kept(schema, document)
      const { expireAt } = whole
      const row = { id: idOf(whole), at: timeOf(whole), expireAt, document: JSON.stringify(whole) }
      await translated(() => whenFree(() => replace.run(row)))
    },
    since: (since: number, limit = ALL) =>
      translated(() => whenFree(() => toListing(schema, select.all(since, limit).map(readDocument)))),
  }
}

const documentRow = z.object({ document: z.string() })

/** Text that is no JSON is nothing that a listing can read. */
function readDocument(row: unknown): unknown {
  const { document } = documentRow.parse(row)
  try {
    return JSON.parse(document)
  } catch {
    return undefined
  }
}
