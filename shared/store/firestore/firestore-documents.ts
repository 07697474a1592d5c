import { z } from 'zod'
import { type JobRecord, jobRecord, jobStatuses } from '../../job/record.ts'
import { StoreError } from '../job-store.ts'
import type { RecordDocuments } from '../record-documents.ts'
import type { Database } from './database.ts'
import { createDocumentWriter } from './document-writer.ts'
import { fromRevision, timestamp, toEpochMs, toRevision } from './protocol.ts'
import { fields, toFields } from './values.ts'

const JOBS = 'promptJobs'
const PARTS = 'parts'

/**
 * Keeps records in Firestore: `promptJobs/{key}`, and the parts of large results below them.
 *
 * A write that changes nothing would leave the revision as it was; no claim, settle or release is one. Rejects with
 * StoreError.
 */
export function createFirestoreDocuments(database: Database): RecordDocuments {
  const put = createDocumentWriter(database)
  const nameOf = (key: string) => `${database.root}/${JOBS}/${key}`

  return {
    create: (record) => put({ name: nameOf(record.key), fields: toFields(record), precondition: { exists: false } }),
    replace: (record, revision) => {
      const precondition = { updateTime: fromRevision(revision) }
      return put({ name: nameOf(record.key), fields: toFields(record), precondition })
    },
    async read(key) {
      const { found, readTime } = getAnswer.parse(await database.get(nameOf(key)))
      if (found === undefined || found === null) return undefined
      const ageMs = toEpochMs(readTime) - toEpochMs(found.updateTime)
      return { record: parseRecord(found.fields), revision: toRevision(found.updateTime), ageMs }
    },
    async list(batch) {
      const found = await database.query(database.root, JOBS, { batch })
      return found.map(parseRecord)
    },
    async countByStatus(batch) {
      const count = async (status: string) => [status, await database.count(JOBS, { batch, status })] as const
      const counts = await Promise.all(jobStatuses.map(count))
      return Object.fromEntries(counts.filter(([, n]) => n > 0))
    },
    async writePart(key, owner, n, text, expireAt) {
      await put({ name: `${nameOf(key)}/${PARTS}/${owner}-${n}`, fields: toFields({ owner, n, text, expireAt }) })
    },
    async readParts(key, owner) {
      const parts = (await database.query(nameOf(key), PARTS, { owner })).map((found) => part.parse(found))
      return parts.sort((a, b) => a.n - b.n).map(({ text }) => text)
    },
  }
}

const getAnswer = z.object({
  readTime: timestamp,
  found: z.object({ fields, updateTime: timestamp }).nullish(),
})
const part = z.object({ n: z.number(), text: z.string() })

function parseRecord(document: unknown): JobRecord {
  const parsed = jobRecord.safeParse(document)
  if (!parsed.success) throw new StoreError('corrupt', 'a record in Firestore is not of our form', parsed.error)
  return parsed.data
}
