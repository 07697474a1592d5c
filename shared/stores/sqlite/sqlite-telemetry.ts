import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { whenFree } from '../../lib/sqlite.ts'
import { kept, type TelemetryKind, tokenFailureKind, toListing, workerInstanceKind } from '../telemetry-documents.ts'
import type { TelemetryReader, TelemetryStore } from '../telemetry-store.ts'
import { lazily } from './lazily.ts'
import { named, openTables, type Schema, type SchemaExtent } from './open-tables.ts'
import { translated } from './translated.ts'

/** SQLite reads a negative limit as no limit. */
const ALL = -1

const names = [tokenFailureKind.collection, workerInstanceKind.collection]
const schema: Schema = {
  tables: names.map((name) =>
    named(
      name,
      `CREATE TABLE ${name} (
        id TEXT PRIMARY KEY,
        at INTEGER NOT NULL,
        expireAt INTEGER NOT NULL,
        document TEXT NOT NULL
      ) STRICT`,
    ),
  ),
  indexes: names.flatMap((name) => [
    named(`${name}ByTime`, `CREATE INDEX ${name}ByTime ON ${name} (at)`),
    named(`${name}Expire`, `CREATE INDEX ${name}Expire ON ${name} (expireAt)`),
  ]),
}

/** Keeps telemetry in the file that holds the records. Rejects with StoreError. */
export function openSqliteTelemetry(
  path: string,
  extent: SchemaExtent = 'whole',
): Promise<TelemetryStore & { close(): void }> {
  return openTables(path, schema, extent, (db) => ({
    ...readSqliteTelemetry(db),
    putTokenFailure: writer(db, tokenFailureKind),
    putInstance: writer(db, workerInstanceKind),
  }))
}

/** Reads telemetry from a file that may be open for reading alone. */
export function readSqliteTelemetry(db: DatabaseSync): TelemetryReader {
  return { tokenFailures: lister(db, tokenFailureKind), instances: lister(db, workerInstanceKind) }
}

function writer<T extends { readonly expireAt: number }>(
  db: DatabaseSync,
  { collection, schema, idOf, timeOf }: TelemetryKind<T>,
) {
  const replace = db.prepare(`INSERT OR REPLACE INTO ${collection} VALUES (:id, :at, :expireAt, :document)`)
  return async (document: T) => {
    const whole = kept(schema, document)
    const { expireAt } = whole
    const row = { id: idOf(whole), at: timeOf(whole), expireAt, document: JSON.stringify(whole) }
    await translated(() => whenFree(() => replace.run(row)))
  }
}

function lister<T>(db: DatabaseSync, { collection, read }: TelemetryKind<T>) {
  const select = lazily(db, `SELECT document FROM ${collection} WHERE at >= ? ORDER BY at DESC, id DESC LIMIT ?`)
  return (since: number, limit = ALL) =>
    translated(() => whenFree(() => toListing(read, (select()?.all(since, limit) ?? []).map(readDocument))))
}

const documentRow = z.object({ document: z.string() })

/** A listing skips text that is not JSON. */
function readDocument(row: unknown): unknown {
  const { document } = documentRow.parse(row)
  try {
    return JSON.parse(document)
  } catch {
    return undefined
  }
}
