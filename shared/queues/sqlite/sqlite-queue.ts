import type { DatabaseSync } from 'node:sqlite'
import type { Clock } from '../../lib/clock.ts'
import { inTransaction, whenFree } from '../../lib/sqlite.ts'
import { type JobQueue, type Message, QueueError } from '../job-queue.ts'
import { checkLimits } from '../message-limits.ts'
import { openQueueFile } from './queue-file.ts'

// A chunk is one transaction: large enough to share one fsync, small enough not to hold the lock for long.
const CHUNK_MESSAGES = 200
const CHUNK_BYTES = 4_000_000

/**
 * Opens the embedded queue for publishing: a message is on disk (FULL sync) before its publish resolves.
 *
 * `now` gives epoch milliseconds and becomes the publish time. Rejects with QueueError `unavailable`.
 */
export async function openSqliteQueue(path: string, now: Clock): Promise<JobQueue> {
  const db = await unlessUnavailable(() => openQueueFile(path, 'FULL'))
  const insert = inserter(db, now)
  return {
    async publish(topic, message) {
      checkLimits(message)
      return unlessUnavailable(() => whenFree(() => insert(topic, message)))
    },
    async publishAll(topic, messages) {
      messages.forEach(checkLimits)
      const ids: string[] = []
      for (const chunk of inChunks(messages)) {
        const insertChunk = () => chunk.map((message) => insert(topic, message))
        ids.push(...(await unlessUnavailable(() => inTransaction(db, insertChunk))))
      }
      return ids
    },
    async close() {
      if (db.isOpen) db.close()
    },
  }
}

function inserter(db: DatabaseSync, now: Clock) {
  const statement = db.prepare(
    'INSERT INTO messages (topic, dueAt, publishedAt, attributes, data) VALUES (?, ?, ?, ?, ?)',
  )
  return (topic: string, { data, attributes }: Message): string => {
    const at = now()
    return String(statement.run(topic, at, at, JSON.stringify(attributes), data).lastInsertRowid)
  }
}

function* inChunks(messages: readonly Message[]): Generator<Message[]> {
  let chunk: Message[] = []
  let bytes = 0
  for (const message of messages) {
    chunk.push(message)
    bytes += message.data.byteLength
    if (chunk.length < CHUNK_MESSAGES && bytes < CHUNK_BYTES) continue
    yield chunk
    chunk = []
    bytes = 0
  }
  if (chunk.length > 0) yield chunk
}

async function unlessUnavailable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    throw new QueueError('unavailable', 'The queue file is busy or cannot be written', cause)
  }
}
