import { z } from 'zod'
import { openSqliteReadOnly, whenFree } from '../../lib/sqlite.ts'
import { MESSAGE_COLUMNS, type StoredMessage, toMessage } from './queue-file.ts'

/** The most messages that are returned; an id may also be part of many texts. */
const MAX_FOUND = 100

/** Finds messages of a topic whose data contains these bytes, without a lease. Rejects with SQLite's error. */
export async function findMessages(path: string, topic: string, bytes: Uint8Array): Promise<readonly StoredMessage[]> {
  const db = await whenFree(() => openSqliteReadOnly(path))
  try {
    const isThere = db.prepare("SELECT COUNT(*) AS n FROM sqlite_schema WHERE name = 'messages'")
    if (count.parse(isThere.get()).n === 0) return []
    const found = db.prepare(`SELECT ${MESSAGE_COLUMNS} FROM messages WHERE topic = ? AND instr(data, ?) > 0 LIMIT ?`)
    return await whenFree(() => found.all(topic, bytes, MAX_FOUND).map(toMessage))
  } finally {
    db.close()
  }
}

const count = z.object({ n: z.number() })
