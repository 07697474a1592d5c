import { DatabaseSync } from 'node:sqlite'
import { isSettled, type JobRecord } from '../../shared/job/record.ts'

/** The tables of records, and the batches, as the release before made them (commit a5e070a). */
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
  CREATE INDEX IF NOT EXISTS promptJobsDue ON promptJobs (sweepAt) WHERE sweepAt IS NOT NULL;
  CREATE INDEX IF NOT EXISTS promptJobsUsage ON promptJobs (batch, promptTokens, completionTokens)
    WHERE promptTokens IS NOT NULL;
  CREATE INDEX IF NOT EXISTS promptJobsUsageByDay ON promptJobs (day, promptTokens, completionTokens)
    WHERE promptTokens IS NOT NULL;
`
const CREATE = `INSERT INTO promptJobs (key, batch, status, revision, updatedAt, expireAt, record,
  sweepAt, promptTokens, completionTokens, day) VALUES (:key, :batch, :status, 1, :updatedAt, :expireAt, :record,
  :sweepAt, :promptTokens, :completionTokens, :day) ON CONFLICT (key) DO NOTHING`
const REPLACE = `UPDATE promptJobs SET batch = :batch, status = :status, revision = revision + 1,
  updatedAt = :updatedAt, expireAt = :expireAt, record = :record, sweepAt = :sweepAt,
  promptTokens = :promptTokens, completionTokens = :completionTokens, day = :day
  WHERE key = :key AND revision = :revision`

interface LastRelease {
  readonly db: DatabaseSync
  create(record: JobRecord): void
  replace(record: JobRecord, revision: number): void
  close(): void
}

/** Opens a file, and writes records to it, by the statements of the release before. */
export function openLastRelease(path: string): LastRelease {
  const db = new DatabaseSync(path, { timeout: 5_000 })
  db.exec('PRAGMA journal_mode = WAL')
  db.exec(SCHEMA)
  const [create, replace] = [db.prepare(CREATE), db.prepare(REPLACE)]
  return {
    db,
    create: (record) => create.run(rowOf(record)),
    replace: (record, revision) => replace.run({ ...rowOf(record), revision }),
    close: () => db.close(),
  }
}

function rowOf(record: JobRecord) {
  const { key, batch, status } = record
  const { promptTokens = null, completionTokens = null } = record.status === 'succeeded' ? record.usage : {}
  return {
    ...{ key, batch, status, updatedAt: 0, record: JSON.stringify(record), sweepAt: null },
    expireAt: isSettled(record) ? record.expireAt : null,
    ...{ promptTokens, completionTokens },
    day: record.status === 'succeeded' ? new Date(record.settledAt).toISOString().slice(0, 10) : null,
  }
}
