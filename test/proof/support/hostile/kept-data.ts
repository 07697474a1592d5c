import { createHash } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { isSettled, type JobRecord, jobRecord } from '../../../../shared/job/record.ts'

export const hashOf = (data: Uint8Array) => createHash('sha256').update(data).digest('hex')

const row = z.object({ at: z.number(), data: z.instanceof(Uint8Array) })
const recordRow = z.object({
  key: z.string(),
  updatedAt: z.number(),
  record: z.string().transform((text) => jobRecord.parse(JSON.parse(text))),
})

const detailsRow = z.object({ details: z.string() })

interface News {
  /** Of the data. */
  readonly hash: string
  /** Where it was found, and how the data begin. */
  readonly details: string
}

/** What workers have made of the messages they took, seen from outside. Throws for a malformed record. */
export interface KeptData extends Disposable {
  /** The data that messages, recorded letters and settled records came to hold since it was last asked; some twice. */
  news(): readonly News[]
  record(key: string): JobRecord | undefined
  records(): readonly JobRecord[]
  /** All that is kept of messages beside their data. */
  messageDetails(): readonly string[]
}

/** Looks into the file of a store and its queue. `topics`: those that hold pushed messages. */
export function openKeptData(file: string, topics: readonly string[]): KeptData {
  const db = new DatabaseSync(file, { readOnly: true, timeout: 5_000 })
  const names = topics.map(() => '?').join(', ')
  const messages = db.prepare(`SELECT id AS at, data FROM messages WHERE topic IN (${names}) AND id > ? ORDER BY id`)
  const letters = db.prepare('SELECT rowid AS at, data FROM deadLetters WHERE rowid > ? ORDER BY rowid')
  const changed = db.prepare('SELECT key, updatedAt, record FROM promptJobs WHERE updatedAt >= ? ORDER BY updatedAt')
  const one = db.prepare('SELECT key, updatedAt, record FROM promptJobs WHERE key = ?')
  const details = db.prepare(
    `SELECT attributes AS details FROM messages WHERE topic IN (${names}) UNION ALL SELECT document FROM deadLetters`,
  )
  const last = { message: 0, letter: 0, change: 0 }
  return {
    news() {
      const newMessages = messages.all(...topics, last.message).map((found) => row.parse(found))
      const newLetters = letters.all(last.letter).map((found) => row.parse(found))
      const newRecords = changed.all(last.change).map((found) => recordRow.parse(found))
      last.message = newMessages.at(-1)?.at ?? last.message
      last.letter = newLetters.at(-1)?.at ?? last.letter
      last.change = newRecords.at(-1)?.updatedAt ?? last.change
      const kept = [...newMessages, ...newLetters].map(({ at, data }) => ({
        hash: hashOf(data),
        details: `a message or letter, ${at}: ${JSON.stringify(Buffer.from(data.subarray(0, 400)).toString())}`,
      }))
      const settled = newRecords.filter(({ record }) => isSettled(record))
      return [
        ...kept,
        ...settled.map(({ key, record }) => ({
          hash: record.payloadHash ?? '',
          details: `the record ${key} of ${record.id}`,
        })),
      ]
    },
    record(key) {
      const found = one.get(key)
      return found === undefined ? undefined : recordRow.parse(found).record
    },
    records: () => changed.all(0).map((found) => recordRow.parse(found).record),
    messageDetails: () => details.all(...topics).map((found) => detailsRow.parse(found).details),
    [Symbol.dispose]: () => db.close(),
  }
}
