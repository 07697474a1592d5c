import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { setImmediate as turn } from 'node:timers/promises'
import { z } from 'zod'
import { jobRecord, jobStatuses } from '../../job/record.ts'
import type { Clock } from '../../lib/clock.ts'
import { whenFree } from '../../lib/sqlite.ts'
import type { ListedRecord, RecordDocuments, StoredRecord } from '../record-documents.ts'
import { jsonText } from './json-text.ts'
import { lazily } from './lazily.ts'
import { isThere } from './open-tables.ts'
import { COUNTS, ERROR_KIND, FAILED, IN_BATCH, TOKENS } from './record-schema.ts'
import { translated } from './translated.ts'

export type RecordReads = Pick<
  RecordDocuments,
  'read' | 'list' | 'countByStatus' | 'countFailures' | 'sumUsage' | 'readParts'
>

/** Reading a page blocks the event loop. */
const PAGE_ROWS = 200
const PAGE_LENGTH = 1024 * 1024

/**
 * Reads records from a file that an earlier version may have written. Without the worker's indexes, a query scans the table.
 *
 * `now` is the store's clock, in epoch milliseconds.
 */
export function recordReads(db: DatabaseSync, now: Clock): RecordReads {
  const one = lazily(db, 'SELECT record, revision, updatedAt FROM promptJobs WHERE key = ?')
  return {
    read: (key) =>
      translated(() =>
        whenFree(() => {
          const row = one()?.get(key)
          return row === undefined ? undefined : withAge(storedRow.parse(row), now())
        }),
      ),
    countByStatus: counter(db),
    countFailures: failureCounter(db),
    sumUsage: usageSum(db),
    list: lister(db),
    readParts: partsReader(db),
  }
}

function counter(db: DatabaseSync): RecordReads['countByStatus'] {
  const kept = lazily(db, `SELECT status, n FROM ${COUNTS} WHERE batch = ?`)
  const counted = lazily(db, 'SELECT status, COUNT(*) AS n FROM promptJobs WHERE batch = ? GROUP BY status')
  return (batch) =>
    translated(() => whenFree(() => Object.fromEntries(((kept() ?? counted())?.all(batch) ?? []).flatMap(toCount))))
}

function failureCounter(db: DatabaseSync): RecordReads['countFailures'] {
  const counted = lazily(
    db,
    `SELECT ${ERROR_KIND} AS kind, COUNT(*) AS n FROM promptJobs WHERE batch = ? AND ${FAILED} GROUP BY kind`,
  )
  return (batch) =>
    translated(() => whenFree(() => Object.fromEntries((counted()?.all(batch) ?? []).map((row) => toFailures(row)))))
}

function usageSum(db: DatabaseSync): RecordReads['sumUsage'] {
  const kept = lazily(db, `SELECT promptTokens, completionTokens FROM ${TOKENS} WHERE per = ? AND name = ?`)
  const summed = (by: 'batch' | 'day') =>
    lazily(
      db,
      `SELECT TOTAL(promptTokens) AS promptTokens, TOTAL(completionTokens) AS completionTokens FROM promptJobs
      WHERE ${by} = ? AND promptTokens IS NOT NULL`,
    )
  const [ofBatch, ofDay] = [summed('batch'), summed('day')]
  return (of) => {
    const [per, name] = 'batch' in of ? ['batch', of.batch] : ['day', of.day]
    const sum = () => {
      const sums = kept()
      return sums === undefined ? (per === 'batch' ? ofBatch : ofDay)()?.get(name) : sums.get(per, name)
    }
    return translated(() => whenFree(() => usageRow.parse(sum() ?? NO_USAGE)))
  }
}

/** Lists records in the order of their creation. Each page begins after the end of the previous one. */
function lister(db: DatabaseSync): RecordReads['list'] {
  const where = 'WHERE batch = ? AND rowid > ? ORDER BY rowid'
  const found = lazily(db, `SELECT rowid AS id, key, record FROM promptJobs INDEXED BY ${IN_BATCH} ${where}`)
  // This scans the table once. With another index, each page would sort the whole batch.
  const scanned = lazily(db, `SELECT rowid AS id, key, record FROM promptJobs NOT INDEXED ${where}`)
  const page = (batch: string, after: number) => {
    const rows = isThere(db, IN_BATCH) ? found() : scanned()
    return rows === undefined ? [] : firstOf(rows, batch, after)
  }
  return async function* (batch) {
    let rows = await translated(() => whenFree(() => page(batch, 0)))
    while (rows.length > 0) {
      for (const row of rows) yield toListed(row)
      const after = rows.at(-1)?.id ?? 0
      await turn()
      rows = await translated(() => whenFree(() => page(batch, after)))
    }
  }
}

function firstOf(statement: StatementSync, batch: string, after: number): ListRow[] {
  const rows: ListRow[] = []
  let length = 0
  for (const each of statement.iterate(batch, after)) {
    const row = listRow.parse(each)
    rows.push(row)
    length += row.record.length
    if (rows.length >= PAGE_ROWS || length >= PAGE_LENGTH) break
  }
  return rows
}

/** Reads one part at a time, because there may be hundreds. */
function partsReader(db: DatabaseSync): RecordReads['readParts'] {
  const next = lazily(db, 'SELECT n, text FROM promptJobParts WHERE key = ? AND owner = ? AND n > ? ORDER BY n LIMIT 1')
  return async function* (key, owner) {
    const read = (after: number) =>
      translated(() => whenFree(() => partRow.optional().parse(next()?.get(key, owner, after))))
    for (let part = await read(-1); part !== undefined; part = await read(part.n)) {
      yield part.text
      await turn()
    }
  }
}

const NO_USAGE = { promptTokens: 0, completionTokens: 0 }

const recordJson = jsonText.pipe(jobRecord)
const listedJson = z.object({ record: recordJson })
export const storedRow = z.object({
  record: recordJson,
  revision: z.number().transform(String),
  updatedAt: z.number(),
})
const countRow = z.object({ status: z.enum(jobStatuses), n: z.number() })
const failuresRow = z.object({ kind: z.string().catch('unknown'), n: z.number() })
const usageRow = z.object({ promptTokens: z.number(), completionTokens: z.number() })
/** The types that the table's schema guarantees for every row. */
const listRow = z.object({ id: z.number(), key: z.string(), record: z.string() })
type ListRow = z.infer<typeof listRow>
const partRow = z.object({ n: z.number(), text: z.string() })

function toFailures(row: unknown) {
  const { kind, n } = failuresRow.parse(row)
  return [kind, n] as const
}

/** A status that this version does not know is left out. */
function toCount(row: unknown) {
  const { data } = countRow.safeParse(row)
  return data === undefined ? [] : [[data.status, data.n] as const]
}

function toListed(row: ListRow): ListedRecord {
  return listedJson.safeParse(row).data ?? { unreadable: row.key }
}

export function withAge({ updatedAt, ...stored }: z.infer<typeof storedRow>, now: number): StoredRecord {
  return { ...stored, ageMs: now - updatedAt }
}
