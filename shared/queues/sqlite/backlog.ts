import { existsSync } from 'node:fs'
import { openSqliteReadOnly, whenFree } from '../../lib/sqlite.ts'

/** The messages of a topic that are not acknowledged, and whether it is paused. */
export interface Backlog {
  readonly messages: number
  readonly isPaused: boolean
}

/** Reads a file without changing it. Undefined if it has no queue yet. Rejects with SQLite's error. */
export async function readBacklog(path: string, topic: string): Promise<Backlog | undefined> {
  if (!existsSync(path)) return undefined
  const db = openSqliteReadOnly(path)
  try {
    const count = (sql: string, ...values: readonly string[]) =>
      whenFree(() => Number(db.prepare(`SELECT COUNT(*) AS n FROM ${sql}`).get(...values)?.['n']))
    const tables = await count(`sqlite_schema WHERE name IN ('messages', 'pausedTopics')`)
    if (tables < 2) return undefined
    const messages = await count('messages WHERE topic = ?', topic)
    return { messages, isPaused: (await count('pausedTopics WHERE topic = ?', topic)) === 1 }
  } finally {
    db.close()
  }
}
