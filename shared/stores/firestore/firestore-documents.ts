import { z } from 'zod'
import { sweepAt } from '../../job/claim.ts'
import { type JobRecord, jobRecord, jobStatuses, type StatusCounts, settledIn, underWayIn } from '../../job/record.ts'
import { utcDay } from '../daily-tokens.ts'
import { StoreError } from '../job-store.ts'
import type { DuePage, RecordDocuments } from '../record-documents.ts'
import type { Database } from './database.ts'
import { createDocumentWriter } from './document-writer.ts'
import { partName, readPartsOf } from './parts.ts'
import { fromRevision, timestamp, toEpochMs, toRevision } from './protocol.ts'
import type { TextRange } from './queries.ts'
import { countsOf, MAX_TALLIED, TALLY, TALLY_FIELDS, tallyOf } from './status-tally.ts'
import { fields, toFields } from './values.ts'
import { walkDocuments } from './walk-documents.ts'

const JOBS = 'promptJobs'
const USAGE = ['usage.promptTokens', 'usage.completionTokens']

/** When the sweep is to look at a record, as text. */
const DUE = 'due'
/** On which day, in UTC, an answer was paid for. */
const DAY = 'day'
/** An index that grows only at its end accepts 500 writes a second. This one grows in this many places. */
const SHARDS = 8

/**
 * Keeps records in Firestore: `promptJobs/{key}`, and the parts of large results below them.
 *
 * A write without a change would not change the revision. Every claim, settle and release changes the record. Rejects with
 * StoreError.
 */
export function createFirestoreDocuments(database: Database): RecordDocuments {
  const put = createDocumentWriter(database)
  const nameOf = (key: string) => `${database.root}/${JOBS}/${key}`

  return {
    create: (record) => put({ name: nameOf(record.key), fields: fieldsOf(record), precondition: { exists: false } }),
    replace: (record, revision) => {
      const precondition = { updateTime: fromRevision(revision) }
      return put({ name: nameOf(record.key), fields: fieldsOf(record), precondition })
    },
    async read(key) {
      const { found, readTime } = getAnswer.parse(await database.get(nameOf(key)))
      if (found === undefined || found === null) return undefined
      const ageMs = toEpochMs(readTime) - toEpochMs(found.updateTime)
      return { record: parseRecord(found.fields), revision: toRevision(found.updateTime), ageMs }
    },
    async *due(now, pageSize) {
      const to = new Date(now).toISOString()
      const limit = Math.ceil(pageSize / SHARDS)
      let ranges: TextRange[] = Array.from({ length: SHARDS }, (_, shard) => ({
        from: `${shard} `,
        to: `${shard} ${to}`,
        limit,
        after: undefined,
      }))
      while (ranges.length > 0) {
        const answers = await Promise.all(ranges.map((range) => database.range(JOBS, DUE, range)))
        const found = answers.map((each) => each.flatMap((answer) => foundAnswer.safeParse(answer).data ?? []))
        if (found.some(({ length }) => length > 0)) yield duePage(found.flat())
        ranges = ranges.flatMap((range, i) => restOf(range, found[i]?.at(limit - 1)))
      }
    },
    async sumUsage(of) {
      const [promptTokens = 0, completionTokens = 0] = await database.sum(JOBS, { ...of }, USAGE)
      return { promptTokens, completionTokens }
    },
    async *list(batch) {
      for await (const { name, fields } of walkDocuments(database, JOBS, { equal: { batch }, after: undefined })) {
        const { data: record } = jobRecord.safeParse(fields)
        yield record === undefined ? { unreadable: keyIn(name) } : { record }
      }
    },
    async countByStatus(batch) {
      return (await tallied(database, batch)) ?? countEach(database, batch)
    },
    async countFailures(batch) {
      const counts: Record<string, number> = {}
      let left = MAX_FAILURES
      const failed = { equal: { batch, status: 'dead_lettered' }, mask: ['error.kind'], after: undefined }
      for await (const { fields } of walkDocuments(database, JOBS, failed)) {
        const { kind } = failure.parse(fields).error
        counts[kind] = (counts[kind] ?? 0) + 1
        left -= 1
        if (left === 0) break
      }
      return counts
    },
    async writePart(key, owner, n, text, expireAt) {
      await put({ name: partName(nameOf(key), owner, n), fields: toFields({ owner, n, text, expireAt }) })
    },
    readParts: (key, owner) => readPartsOf(database, nameOf(key), owner, textPart),
  }
}

/** Undefined if an older version wrote some of the records, or if the index is missing. */
async function tallied(database: Database, batch: string): Promise<StatusCounts | undefined> {
  try {
    const { sums, count } = await database.sumAndCount(JOBS, { batch }, TALLY_FIELDS)
    const counts = countsOf(sums)
    const isWhole = count <= MAX_TALLIED && settledIn(counts) + underWayIn(counts) === count
    return isWhole ? counts : undefined
  } catch (error) {
    if (error instanceof StoreError && error.code === 'no_index') return undefined
    throw error
  }
}

async function countEach(database: Database, batch: string): Promise<StatusCounts> {
  const count = async (status: string) => [status, await database.count(JOBS, { batch, status })] as const
  const counts = await Promise.all(jobStatuses.map(count))
  return Object.fromEntries(counts.filter(([, n]) => n > 0))
}

/**
 * A record as it is stored: with the mark by which the sweep finds it, as long as it may have to, and with the day of its
 * answer. Compared by equality, a day is one value: its index grows in as many places as there are numbers of tokens.
 */
function fieldsOf(record: JobRecord) {
  const at = sweepAt(record)
  const due = at === undefined ? undefined : `${record.key.charCodeAt(0) % SHARDS} ${new Date(at).toISOString()}`
  const day = record.status === 'succeeded' ? utcDay(record.settledAt) : undefined
  return toFields({ ...record, [DUE]: due, [DAY]: day, [TALLY]: tallyOf(record.status) })
}

/** The fields that are read of each document of a range query. */
const foundAnswer = z.object({
  readTime: timestamp,
  document: z.object({
    name: z.string(),
    fields: z.looseObject({ [DUE]: z.object({ stringValue: z.string() }) }),
    updateTime: timestamp,
  }),
})
type FoundAnswer = z.infer<typeof foundAnswer>

/** The rest of the range after a full page. Empty if this page was not full. */
function restOf(range: TextRange, last: FoundAnswer | undefined): readonly TextRange[] {
  if (last === undefined) return []
  const { name, fields } = last.document
  return [{ ...range, after: { text: fields[DUE].stringValue, name } }]
}

function duePage(found: readonly FoundAnswer[]): DuePage {
  const read = found.map((each) => ({ ...each, record: readRecord(each.document.fields) }))
  return {
    records: read.flatMap(({ document, readTime, record }) => {
      if (record === undefined) return []
      const ageMs = toEpochMs(readTime) - toEpochMs(document.updateTime)
      return [{ record, revision: toRevision(document.updateTime), ageMs }]
    }),
    unreadable: read.flatMap(({ document, record }) => (record === undefined ? [keyIn(document.name)] : [])),
  }
}

/** Undefined if the document is malformed. */
function readRecord(document: unknown): JobRecord | undefined {
  const { data } = fields.safeParse(document)
  return jobRecord.safeParse(data).data
}

function keyIn(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1)
}

const getAnswer = z.object({
  readTime: timestamp,
  found: z.object({ fields, updateTime: timestamp }).nullish(),
})
/** The kind of a failure has no index, so about so many records are read, without their other fields. */
const MAX_FAILURES = 1_000
const failure = z.object({ error: z.object({ kind: z.string() }).catch({ kind: 'unknown' }) })
const textPart = z.object({ text: z.string() }).transform(({ text }) => text)

function parseRecord(document: unknown): JobRecord {
  const parsed = jobRecord.safeParse(document)
  if (!parsed.success) throw new StoreError('corrupt', 'a record in Firestore is malformed', parsed.error)
  return parsed.data
}
