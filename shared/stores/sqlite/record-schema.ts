import { laterColumns, named, type Schema } from './open-tables.ts'

const JOBS = `
  CREATE TABLE promptJobs (
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
  ) STRICT
`
const PARTS = `
  CREATE TABLE promptJobParts (
    key TEXT NOT NULL,
    owner TEXT NOT NULL,
    n INTEGER NOT NULL,
    text TEXT NOT NULL,
    expireAt INTEGER NOT NULL,
    PRIMARY KEY (key, owner, n)
  ) STRICT
`

/** How many records a batch has of each status, and the tokens of a batch's, or a day's, answers. */
export const COUNTS = 'promptJobCounts'
export const TOKENS = 'promptJobTokens'

const ADD_COUNT = `
  INSERT INTO ${COUNTS} VALUES (NEW.batch, NEW.status, 1) ON CONFLICT (batch, status) DO UPDATE SET n = n + 1;`
const TAKE_COUNT = `
  UPDATE ${COUNTS} SET n = n - 1 WHERE batch = OLD.batch AND status = OLD.status;
  DELETE FROM ${COUNTS} WHERE batch = OLD.batch AND status = OLD.status AND n = 0;`
const addTokens = (by: 'batch' | 'day') => `
  INSERT INTO ${TOKENS} SELECT '${by}', NEW.${by}, NEW.promptTokens, IFNULL(NEW.completionTokens, 0)
    WHERE NEW.${by} IS NOT NULL AND NEW.promptTokens IS NOT NULL
    ON CONFLICT (per, name) DO UPDATE SET promptTokens = promptTokens + excluded.promptTokens,
      completionTokens = completionTokens + excluded.completionTokens;`
const takeTokens = (by: 'batch' | 'day') => `
  UPDATE ${TOKENS} SET promptTokens = promptTokens - OLD.promptTokens,
    completionTokens = completionTokens - IFNULL(OLD.completionTokens, 0)
    WHERE per = '${by}' AND name = OLD.${by} AND OLD.promptTokens IS NOT NULL;
  DELETE FROM ${TOKENS} WHERE per = '${by}' AND name = OLD.${by} AND promptTokens = 0 AND completionTokens = 0;`

const ADD = ADD_COUNT + addTokens('batch') + addTokens('day')
const TAKE = TAKE_COUNT + takeTokens('batch') + takeTokens('day')
const COUNTED = ['batch', 'status', 'promptTokens', 'completionTokens', 'day']

/**
 * Counting a million records takes 0.4 s and blocks the worker. Triggers count in the transaction of each write instead.
 * A crash then loses no count, and the writes of an earlier version are counted, too.
 */
const TOTALS = `
  CREATE TABLE ${COUNTS} (batch TEXT, status TEXT, n INTEGER NOT NULL, PRIMARY KEY (batch, status)) STRICT, WITHOUT ROWID;
  INSERT INTO ${COUNTS} SELECT batch, status, COUNT(*) FROM promptJobs GROUP BY batch, status;
  CREATE TABLE ${TOKENS} (
    per TEXT,
    name TEXT,
    promptTokens INTEGER NOT NULL,
    completionTokens INTEGER NOT NULL,
    PRIMARY KEY (per, name)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO ${TOKENS} SELECT 'batch', batch, SUM(promptTokens), IFNULL(SUM(completionTokens), 0)
    FROM promptJobs WHERE promptTokens IS NOT NULL GROUP BY batch;
  INSERT INTO ${TOKENS} SELECT 'day', day, SUM(promptTokens), IFNULL(SUM(completionTokens), 0)
    FROM promptJobs WHERE promptTokens IS NOT NULL AND day IS NOT NULL GROUP BY day;
  CREATE TRIGGER promptJobsInserted AFTER INSERT ON promptJobs BEGIN ${ADD} END;
  CREATE TRIGGER promptJobsDeleted AFTER DELETE ON promptJobs BEGIN ${TAKE} END;
  CREATE TRIGGER promptJobsUpdated AFTER UPDATE OF ${COUNTED} ON promptJobs
    WHEN ${COUNTED.map((column) => `OLD.${column} IS NOT NEW.${column}`).join(' OR ')} BEGIN ${TAKE} ${ADD} END;
`

/** Every index ends in the row's id, so each page of a batch begins after the end of the previous one. */
export const IN_BATCH = 'promptJobsInBatch'

/** Few records of a batch have failed, and these are in an index of their own. */
export const ERROR_KIND = "json_extract(record, '$.error.kind')"
export const FAILED = "status = 'dead_lettered'"

export const recordSchema: Schema = {
  tables: [
    named('promptJobs', JOBS),
    named('promptJobParts', PARTS),
    laterColumns('promptJobs', {
      sweepAt: 'INTEGER',
      promptTokens: 'INTEGER',
      completionTokens: 'INTEGER',
      day: 'TEXT',
    }),
  ],
  indexes: [
    named('promptJobsDue', 'CREATE INDEX promptJobsDue ON promptJobs (sweepAt) WHERE sweepAt IS NOT NULL'),
    named(COUNTS, TOTALS),
    named(IN_BATCH, `CREATE INDEX ${IN_BATCH} ON promptJobs (batch)`),
    named('promptJobsFailed', `CREATE INDEX promptJobsFailed ON promptJobs (batch, ${ERROR_KIND}) WHERE ${FAILED}`),
    named('promptJobsExpire', 'CREATE INDEX promptJobsExpire ON promptJobs (expireAt) WHERE expireAt IS NOT NULL'),
    named('promptJobPartsExpire', 'CREATE INDEX promptJobPartsExpire ON promptJobParts (expireAt)'),
  ],
}
