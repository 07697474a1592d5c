import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { sweepAt } from '../../job/claim.ts'
import { isSettled, type JobRecord, jobRecord, jobStatuses } from '../../job/record.ts'
import { inTransaction, whenFree } from '../../sqlite.ts'
import { utcDay } from '../daily-tokens.ts'
import type { DuePage, ListedRecord, RecordDocuments, StoredRecord, Write } from '../record-documents.ts'
import { groupCommits } from './group-commits.ts'
import { jsonText } from './json-text.ts'
import { addColumns, openTables } from './open-tables.ts'
import { translated } from './translated.ts'

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS promptJobs (
    key TEXT PRIMARY KEY,
    batch TEXT NOT NULL,
    status TEXT NOT NULL,
    revision INTEGER NOT NULL,
    updatedAt INTEGER NOT NULL,
    expireAt INTEGER,
    record TEXT NOT NULL,
    sweepAt INTEGER,
    promptTokens INTEGER,
    completionTokens INTEGER,
    day TEXT
  ) STRICT;
  CREATE INDEX IF NOT EXISTS promptJobsByBatch ON promptJobs (batch, status);
  CREATE TABLE IF NOT EXISTS promptJobParts (
    key TEXT NOT NULL,
    owner TEXT NOT NULL,
    n INTEGER NOT NULL,
    text TEXT NOT NULL,
    expireAt INTEGER NOT NULL,
    PRIMARY KEY (key, owner, n)
  ) STRICT;
`

const LATER_COLUMNS = {
  sweepAt: 'INTEGER',
  promptTokens: 'INTEGER',
  completionTokens: 'INTEGER',
  day: 'TEXT',
} as const
const INDEXES_OF_LATER_COLUMNS = `
  CREATE INDEX IF NOT EXISTS promptJobsDue ON promptJobs (sweepAt) WHERE sweepAt IS NOT NULL;
  CREATE INDEX IF NOT EXISTS promptJobsUsage ON promptJobs (batch, promptTokens, completionTokens)
    WHERE promptTokens IS NOT NULL;
  CREATE INDEX IF NOT EXISTS promptJobsUsageByDay ON promptJobs (day, promptTokens, completionTokens)
    WHERE promptTokens IS NOT NULL;
`

export interface SqliteDocuments extends RecordDocuments {
  close(): void
}

/**
 * Keeps records in a database file that any number of processes may share; a write is on disk when it resolves.
 *
 * `now` is the store's clock, in epoch milliseconds: leases are judged by it alone. What has expired is deleted at
 * opening. Rejects with StoreError.
 */
export function openSqliteDocuments(path: string, now: () => number): Promise<SqliteDocuments> {
  return openTables(
    path,
    (db) => makeTables(db, now()),
    (db) => ({ ...recordTable(db, now), ...partTable(db) }),
  )
}

function makeTables(db: DatabaseSync, at: number): void {
  db.exec(SCHEMA)
  addColumns(db, 'promptJobs', LATER_COLUMNS)
  db.exec(INDEXES_OF_LATER_COLUMNS)
  db.prepare('DELETE FROM promptJobs WHERE expireAt < ?').run(at)
  db.prepare('DELETE FROM promptJobParts WHERE expireAt < ?').run(at)
}

function recordTable(db: DatabaseSync, now: () => number): Omit<RecordDocuments, 'writePart' | 'readParts'> {
  const create = db.prepare(`INSERT INTO promptJobs (key, batch, status, revision, updatedAt, expireAt, record,
    sweepAt, promptTokens, completionTokens, day) VALUES (:key, :batch, :status, 1, :updatedAt, :expireAt, :record,
    :sweepAt, :promptTokens, :completionTokens, :day) ON CONFLICT (key) DO NOTHING`)
  const replace = db.prepare(`UPDATE promptJobs SET batch = :batch, status = :status, revision = revision + 1,
    updatedAt = :updatedAt, expireAt = :expireAt, record = :record, sweepAt = :sweepAt,
    promptTokens = :promptTokens, completionTokens = :completionTokens, day = :day
    WHERE key = :key AND revision = :revision`)
  const read = db.prepare('SELECT record, revision, updatedAt FROM promptJobs WHERE key = ?')
  const count = db.prepare('SELECT status, COUNT(*) AS n FROM promptJobs WHERE batch = ? GROUP BY status')
  const list = db.prepare('SELECT key, record FROM promptJobs WHERE batch = ? ORDER BY key')
  const usageBy = (column: 'batch' | 'day') =>
    db.prepare(`SELECT TOTAL(promptTokens) AS promptTokens, TOTAL(completionTokens) AS completionTokens
      FROM promptJobs WHERE ${column} = ? AND promptTokens IS NOT NULL`)
  const [usageOfBatch, usageOfDay] = [usageBy('batch'), usageBy('day')]
  const write = groupCommits<Write>((work) => inTransaction(db, work))

  return {
    create: (record) => translated(() => write(() => written(create.run(columns(record, now())).changes, 1))),
    replace: (record, revision) =>
      translated(() =>
        write(() => written(replace.run({ ...columns(record, now()), revision }).changes, Number(revision) + 1)),
      ),
    read: (key) =>
      translated(() =>
        whenFree(() => {
          const row = read.get(key)
          if (row === undefined) return undefined
          return withAge(storedRow.parse(row), now())
        }),
      ),
    due: dueRecords(db, now),
    sumUsage: (of) => {
      const sum = () => ('batch' in of ? usageOfBatch.get(of.batch) : usageOfDay.get(of.day))
      return translated(() => whenFree(() => usageRow.parse(sum())))
    },
    countByStatus: (batch) => translated(() => whenFree(() => Object.fromEntries(count.all(batch).flatMap(toCount)))),
    async *list(batch) {
      yield* await translated(() => whenFree(() => list.all(batch).map(toListed)))
    },
  }
}

/** The index by `sweepAt` ends in the row's id, so each page begins where the last one ended. */
function dueRecords(db: DatabaseSync, now: () => number): RecordDocuments['due'] {
  const select = db.prepare(`SELECT key, record, revision, updatedAt, sweepAt, rowid AS id FROM promptJobs
    WHERE sweepAt <= :at AND (sweepAt, rowid) > (:sweepAt, :id) ORDER BY sweepAt, rowid LIMIT :pageSize`)
  return async function* (at, pageSize) {
    const page = (after: { sweepAt: number; id: number }) =>
      translated(() => whenFree(() => select.all({ at, pageSize, ...after })))
    let rows = await page({ sweepAt: Number.MIN_SAFE_INTEGER, id: 0 })
    while (rows.length > 0) {
      yield duePage(rows, now())
      const { sweepAt, id } = dueRow.parse(rows.at(-1))
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

function partTable(db: DatabaseSync): Pick<RecordDocuments, 'writePart' | 'readParts'> {
  const write = db.prepare('INSERT OR REPLACE INTO promptJobParts VALUES (:key, :owner, :n, :text, :expireAt)')
  const read = db.prepare('SELECT text FROM promptJobParts WHERE key = ? AND owner = ? ORDER BY n')
  return {
    async writePart(key, owner, n, text, expireAt) {
      await translated(() => whenFree(() => write.run({ key, owner, n, text, expireAt })))
    },
    async *readParts(key, owner) {
      yield* await translated(() => whenFree(() => read.all(key, owner).map((row) => partRow.parse(row).text)))
    },
  }
}

const recordJson = jsonText.pipe(jobRecord)
const recordRow = z.object({ record: recordJson })
const keyRow = z.object({ key: z.string() })
const storedRow = z.object({ record: recordJson, revision: z.number().transform(String), updatedAt: z.number() })
/** The schema of the table says this much of every row. */
const dueRow = z.object({ key: z.string(), sweepAt: z.number(), id: z.number() })
const usageRow = z.object({ promptTokens: z.number(), completionTokens: z.number() })
const countRow = z.object({ status: z.enum(jobStatuses), n: z.number() })
const partRow = z.object({ text: z.string() })

/** A status that only a later version knows is left out. */
function toCount(row: unknown) {
  const { data } = countRow.safeParse(row)
  return data === undefined ? [] : [[data.status, data.n] as const]
}

function toListed(row: unknown): ListedRecord {
  return recordRow.safeParse(row).data ?? { unreadable: keyRow.parse(row).key }
}

function withAge({ updatedAt, ...stored }: z.infer<typeof storedRow>, now: number): StoredRecord {
  return { ...stored, ageMs: now - updatedAt }
}

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
