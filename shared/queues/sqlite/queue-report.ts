import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { whenFree } from '../../lib/sqlite.ts'
import { MESSAGE_COLUMNS, openQueueFile, type StoredMessage, toMessage } from './queue-file.ts'

/** The counts of a topic's messages: published = waiting + leased + acked + deadLettered. Trimmed messages are in none. */
interface TopicCounts {
  readonly published: number
  /** Not yet delivered, or nacked, or their lease ran out. */
  readonly waiting: number
  readonly leased: number
  readonly acked: number
  /** Moved to another topic after too many attempts. */
  readonly deadLettered: number
}

interface Page {
  readonly limit: number
  /** The id of the last message of the page before. */
  readonly after?: string
}

/** Reads the embedded queue without leasing messages. Rejects with SQLite's error. */
export interface QueueReport {
  /** Every topic that has ever held a message. */
  topics(): Promise<string[]>
  /** `now`: epoch milliseconds. */
  counts(topic: string, now: number): Promise<TopicCounts>
  /** A topic's retained messages, oldest first. */
  list(topic: string, page: Page): Promise<StoredMessage[]>
  close(): void
}

export async function openQueueReport(path: string): Promise<QueueReport> {
  const db = await openQueueFile(path, 'NORMAL')
  const page = db.prepare(`SELECT ${MESSAGE_COLUMNS} FROM messages WHERE topic = ? AND id > ? ORDER BY id LIMIT ?`)
  const names = db.prepare('SELECT DISTINCT topic FROM messages UNION SELECT topic FROM topicTotals ORDER BY topic')
  return {
    topics: () => whenFree(() => names.all().map(({ topic }) => String(topic))),
    counts: counter(db),
    list: (topic, { limit, after }) => whenFree(() => page.all(topic, after ?? 0, limit).map(toMessage)),
    close: () => db.close(),
  }
}

const totalsSchema = z.object({ acked: z.number(), deadLettered: z.number() }).default({ acked: 0, deadLettered: 0 })
const retainedSchema = z.object({ waiting: z.number(), leased: z.number() })

function counter(db: DatabaseSync): QueueReport['counts'] {
  const totals = db.prepare('SELECT acked, deadLettered FROM topicTotals WHERE topic = ?')
  const retained = db.prepare(`
    SELECT COUNT(*) FILTER (WHERE leased = 0 OR dueAt <= :now) AS waiting,
           COUNT(*) FILTER (WHERE leased = 1 AND dueAt > :now) AS leased
    FROM messages WHERE topic = :topic`)
  return (topic, now) =>
    whenFree(() => {
      const { acked, deadLettered } = totalsSchema.parse(totals.get(topic))
      const { waiting, leased } = retainedSchema.parse(retained.get({ topic, now }))
      return { published: waiting + leased + acked + deadLettered, waiting, leased, acked, deadLettered }
    })
}
