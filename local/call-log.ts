import { z } from 'zod'
import { openSqlite, whenFree } from '../shared/lib/sqlite.ts'

const detailSchema = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]))

const rowSchema = z.object({
  id: z.int(),
  at: z.number(),
  service: z.string(),
  operation: z.string(),
  status: z.int().nullable(),
  durationMs: z.number(),
  detail: z.string().transform((text) => detailSchema.parse(JSON.parse(text))),
})

/** Details of a call in addition to its outcome. Contains no token and no prompt. */
export type CallDetail = Readonly<z.infer<typeof detailSchema>>

/** One call to a stand-in. `status` is null if there was no response; `at` is epoch milliseconds. */
export type Call = Readonly<z.output<typeof rowSchema>>

interface CallQuery {
  readonly service?: string | undefined
  /** Calls that arrived at this epoch millisecond or later. */
  readonly since?: number | undefined
  /** Only calls recorded after the one with this id, for paging. */
  readonly after?: number | undefined
}

export interface CallLog {
  /** Durable when it resolves. Rejects with SQLite's own error after 5 s of a busy file. */
  record(call: Omit<Call, 'id'>): Promise<void>
  /** At most 10,000 calls, oldest first. */
  read(query: CallQuery): Promise<readonly Call[]>
  close(): void
}

const CREATE = `CREATE TABLE IF NOT EXISTS calls (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, service TEXT NOT NULL, operation TEXT NOT NULL,
  status INTEGER, durationMs INTEGER NOT NULL, detail TEXT NOT NULL)`
const INSERT = 'INSERT INTO calls (at, service, operation, status, durationMs, detail) VALUES (?, ?, ?, ?, ?, ?)'
const SELECT = `SELECT * FROM calls
  WHERE id > ? AND at >= ? AND (? IS NULL OR service = ?) ORDER BY id LIMIT 10000`

/** Opens the call log in a state file, which other processes may share, or in memory. */
export async function openCallLog(path = ':memory:'): Promise<CallLog> {
  const db = openSqlite(path, 'NORMAL')
  await whenFree(() => db.exec(CREATE))
  const insert = db.prepare(INSERT)
  const select = db.prepare(SELECT)
  return {
    async record(call) {
      const detail = JSON.stringify(call.detail)
      await whenFree(() =>
        insert.run(call.at, call.service, call.operation, call.status, Math.round(call.durationMs), detail),
      )
    },
    async read({ service = null, since = 0, after = 0 }) {
      const rows = await whenFree(() => select.all(after, since, service, service))
      return rows.map((row) => rowSchema.parse(row))
    },
    close: () => db.close(),
  }
}
