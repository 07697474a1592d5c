import type { DatabaseSync } from 'node:sqlite'
import { setImmediate as turn } from 'node:timers/promises'
import { z } from 'zod'
import { sweepAt } from '../../job/claim.ts'
import { isSettled, type JobRecord } from '../../job/record.ts'
import type { Clock } from '../../lib/clock.ts'
import { inTransaction, whenFree } from '../../lib/sqlite.ts'
import { utcDay } from '../daily-tokens.ts'
import type { DuePage, RecordDocuments, Write } from '../record-documents.ts'
import { groupCommits } from './group-commits.ts'
import { openTables, type SchemaExtent } from './open-tables.ts'
import { type RecordReads, recordReads, storedRow, withAge } from './record-reads.ts'
import { recordSchema } from './record-schema.ts'
import { translated } from './translated.ts'

export interface SqliteDocuments extends RecordDocuments {
  close(): void
}

/**
 * Keeps records in a database file that any number of processes may share; a write is on disk when it resolves.
 *
 * `now` is the store's clock, in epoch milliseconds. Only this clock decides when a lease ends. Rejects with StoreError.
 */
export function openSqliteDocuments(
  path: string,
  now: Clock,
  extent: SchemaExtent = 'whole',
): Promise<SqliteDocuments> {
  return openTables(path, recordSchema, extent, (db) => ({ ...recordReads(db, now), ...recordWrites(db, now) }))
}

function recordWrites(db: DatabaseSync, now: Clock): Omit<RecordDocuments, keyof RecordReads> {
  const create = db.prepare(`INSERT INTO promptJobs (key, batch, status, revision, updatedAt, expireAt, record,
    sweepAt, promptTokens, completionTokens, day) VALUES (:key, :batch, :status, 1, :updatedAt, :expireAt, :record,
    :sweepAt, :promptTokens, :completionTokens, :day) ON CONFLICT (key) DO NOTHING`)
  const replace = db.prepare(`UPDATE promptJobs SET batch = :batch, status = :status, revision = revision + 1,
    updatedAt = :updatedAt, expireAt = :expireAt, record = :record, sweepAt = :sweepAt,
    promptTokens = :promptTokens, completionTokens = :completionTokens, day = :day
    WHERE key = :key AND revision = :revision`)
  const part = db.prepare('INSERT OR REPLACE INTO promptJobParts VALUES (:key, :owner, :n, :text, :expireAt)')
  const write = groupCommits<Write>((work) => inTransaction(db, work))

  return {
    create: (record) => translated(() => write(() => written(create.run(columns(record, now())).changes, 1))),
    replace: (record, revision) =>
      translated(() =>
        write(() => written(replace.run({ ...columns(record, now()), revision }).changes, Number(revision) + 1)),
      ),
    due: dueRecords(db, now),
    async writePart(key, owner, n, text, expireAt) {
      await translated(() => whenFree(() => part.run({ key, owner, n, text, expireAt })))
    },
  }
}

/** Parsing a page blocks the event loop. 100 records take some milliseconds. */
const MAX_DUE = 100

/** The index by `sweepAt` ends in the row's id, so each page begins after the end of the previous one. */
function dueRecords(db: DatabaseSync, now: Clock): RecordDocuments['due'] {
  const select = db.prepare(`SELECT key, record, revision, updatedAt, sweepAt, rowid AS id FROM promptJobs
    WHERE sweepAt <= :at AND (sweepAt, rowid) > (:sweepAt, :id) ORDER BY sweepAt, rowid LIMIT :pageSize`)
  return async function* (at, wanted) {
    const pageSize = Math.min(wanted, MAX_DUE)
    const page = (after: { sweepAt: number; id: number }) =>
      translated(() => whenFree(() => select.all({ at, pageSize, ...after })))
    let rows = await page({ sweepAt: Number.MIN_SAFE_INTEGER, id: 0 })
    while (rows.length > 0) {
      yield duePage(rows, now())
      const { sweepAt, id } = dueRow.parse(rows.at(-1))
      await turn()
      rows = rows.length < pageSize ? [] : await page({ sweepAt, id })
    }
  }
}

function duePage(rows: readonly unknown[], now: number): DuePage {
  const read = rows.map((row) => ({ row, stored: storedRow.safeParse(row).data }))
  return {
    records: read.flatMap(({ stored }) => (stored === undefined ? [] : [withAge(stored, now)])),
    unreadable: read.flatMap(({ row, stored }) => (stored === undefined ? [dueRow.parse(row).key] : [])),
  }
}

/** The types that the table's schema guarantees for every row. */
const dueRow = z.object({ key: z.string(), sweepAt: z.number(), id: z.number() })

function columns(record: JobRecord, updatedAt: number) {
  const { key, batch, status } = record
  const expireAt = isSettled(record) ? record.expireAt : null
  const { promptTokens = null, completionTokens = null } = record.status === 'succeeded' ? record.usage : {}
  const day = record.status === 'succeeded' ? utcDay(record.settledAt) : null
  const sums = { sweepAt: sweepAt(record) ?? null, promptTokens, completionTokens, day }
  return { key, batch, status, updatedAt, expireAt, record: JSON.stringify(record), ...sums }
}

function written(changes: number | bigint, revision: number): Write {
  return changes === 1 ? { kind: 'written', revision: String(revision) } : { kind: 'refused' }
}
