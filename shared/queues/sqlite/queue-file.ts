import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { type Durability, inTransaction, openSqlite } from '../../lib/sqlite.ts'
import type { Message } from '../job-queue.ts'

// dueAt holds both times a message may wait for: a waiting message's next delivery, and the end of a leased one's lease.
// One comparison then finds the messages that are due, and a consumer that died needs no clean-up.
// AUTOINCREMENT: the row of an acknowledged message is deleted, and its id must not be reused.
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    dueAt INTEGER NOT NULL,
    leased INTEGER NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 0,
    publishedAt INTEGER NOT NULL,
    attributes TEXT NOT NULL,
    data BLOB NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS messagesByTopic ON messages (topic, dueAt, leased);
  CREATE TABLE IF NOT EXISTS topicTotals (
    topic TEXT PRIMARY KEY,
    acked INTEGER NOT NULL DEFAULT 0,
    deadLettered INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE TABLE IF NOT EXISTS pausedTopics (topic TEXT PRIMARY KEY) STRICT;
`

/** A stored message of a topic. Times are epoch milliseconds. */
export interface StoredMessage extends Message {
  readonly id: string
  readonly publishedAt: number
  /** How often it has been delivered, this delivery included. */
  readonly attempt: number
}

/** Opens the queue's file and makes its tables if need be; several processes may do so at once. */
export async function openQueueFile(path: string, durability: Durability): Promise<DatabaseSync> {
  const db = openSqlite(path, durability)
  try {
    await inTransaction(db, () => db.exec(SCHEMA))
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

export const MESSAGE_COLUMNS = 'id, attempt, publishedAt, attributes, data'

const attributesSchema = z.record(z.string(), z.string())
const rowSchema = z.object({
  id: z.number().transform(String),
  attempt: z.number(),
  publishedAt: z.number(),
  attributes: z.string().transform((text) => attributesSchema.parse(JSON.parse(text))),
  data: z.instanceof(Uint8Array),
})

/** Reads a row of MESSAGE_COLUMNS. */
export function toMessage(row: unknown): StoredMessage {
  return rowSchema.parse(row)
}
