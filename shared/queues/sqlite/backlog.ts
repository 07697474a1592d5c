import { existsSync } from 'node:fs'
import { openSqliteReadOnly, whenFree } from '../../lib/sqlite.ts'

/** The messages of a topic that are not acknowledged, and whether it is paused. */
export interface Backlog {
  readonly messages: number
  readonly isPaused: boolean
}

/** Reads a file without changing it. Undefined if it has no queue yet. Rejects with SQLite's error. */
export function readBacklog(path: string, topic: string): Promise<Backlog | undefined> {
  return readQueue(path, async (count) => {
    const messages = await count('messages WHERE topic = ?', topic)
    return { messages, isPaused: (await count('pausedTopics WHERE topic = ?', topic)) === 1 }
  })
}

const REPLAYED = `messages WHERE topic = ? AND attributes ->> 'batch' = ? AND attributes ->> 'pb-run' IS NOT NULL`

/** How many messages of a topic replay jobs of this batch. Undefined and rejects as `readBacklog`. */
export function countReplayed(path: string, topic: string, batch: string): Promise<number | undefined> {
  return readQueue(path, (count) => count(REPLAYED, topic, batch))
}

type Count = (sql: string, ...values: readonly string[]) => Promise<number>

async function readQueue<T>(path: string, read: (count: Count) => Promise<T>): Promise<T | undefined> {
  if (!existsSync(path)) return undefined
  const db = openSqliteReadOnly(path)
  try {
    const count: Count = (sql, ...values) =>
      whenFree(() => Number(db.prepare(`SELECT COUNT(*) AS n FROM ${sql}`).get(...values)?.['n']))
    const tables = await count(`sqlite_schema WHERE name IN ('messages', 'pausedTopics')`)
    return tables < 2 ? undefined : await read(count)
  } finally {
    db.close()
  }
}
