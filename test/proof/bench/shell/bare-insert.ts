// The least that a submit to a SQLite queue does: it reads lines, parses their JSON and inserts them durably, 200 at once.
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'

const [file = '', path = ''] = process.argv.slice(2)
const startedAt = performance.now()
const db = new DatabaseSync(path)
db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
db.exec('CREATE TABLE messages (id INTEGER PRIMARY KEY, topic TEXT, dueAt INTEGER, attributes TEXT, data BLOB) STRICT')
db.exec('CREATE INDEX byTopic ON messages (topic, dueAt)')
const insert = db.prepare('INSERT INTO messages (topic, dueAt, attributes, data) VALUES (?, ?, ?, ?)')
let inTransaction = 0
for await (const line of createInterface({ input: createReadStream(file) })) {
  JSON.parse(line)
  if (inTransaction === 0) db.exec('BEGIN')
  insert.run('jobs', Date.now(), '{"batch":"b"}', Buffer.from(line))
  inTransaction += 1
  if (inTransaction < 200) continue
  db.exec('COMMIT')
  inTransaction = 0
}
if (inTransaction > 0) db.exec('COMMIT')
db.close()
const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
const cpuMs = (userCPUTime + systemCPUTime) / 1_000
process.stderr.write(
  `${JSON.stringify({ code: 0, wallMs: performance.now() - startedAt, cpuMs, peakMiB: maxRSS / 1_024 })}\n`,
)
