import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { inTransaction, whenFree } from '../../lib/sqlite.ts'
import type { Message } from '../job-queue.ts'
import { MESSAGE_COLUMNS, openQueueFile, type StoredMessage, toMessage } from './queue-file.ts'

/** How many messages one transaction deletes. It holds the write lock for some milliseconds. */
const TRIM_ROWS = 500

/** The lease of one delivery on a message. The attempt is the fence, because each delivery increments it. */
interface Lease {
  readonly id: string
  readonly attempt: number
}

interface Pull {
  readonly topic: string
  readonly max: number
  /** The size of the data of all. */
  readonly maxBytes?: number
  /** Whether the first message is leased even if it is larger. */
  readonly isLargerTaken?: boolean
  /** Epoch milliseconds. */
  readonly now: number
  readonly leaseMs: number
}

/**
 * The consumer's side of the embedded queue; each topic has one subscription, named as the topic.
 *
 * Delivery is at least once: a lease that runs out puts its message back. ack, nack and deadLetter resolve with false,
 * and change nothing, when the lease is no longer the message's. All reject with SQLite's own error.
 */
export interface Subscription {
  /** Leases the oldest due messages, at most `max`, and none of a paused topic; each counts as a delivery attempt. */
  pull(pull: Pull): Promise<StoredMessage[]>
  ack(lease: Lease): Promise<boolean>
  /** Releases the message. It is due again at `dueAt` (epoch milliseconds). */
  nack(lease: Lease, dueAt: number): Promise<boolean>
  /** Moves the message to another topic, as a new message with these attributes. */
  deadLetter(lease: Lease, topic: string, attributes: Message['attributes'], now: number): Promise<boolean>
  /**
   * Deletes the oldest messages of a topic: those that were due before `before` (epoch milliseconds), and all but the latest
   * `keep`.
   */
  trim(topic: string, bounds: { readonly before: number; readonly keep: number }): Promise<void>
  /** Releases every lease of a topic. Its only consumer calls this at start, when leases are from the previous process. */
  reclaim(topic: string, now: number): Promise<number>
  close(): void
}

/** Opens the queue's file for consuming. NORMAL sync: an ack that a power cut undoes is one more delivery. */
export async function openSubscription(path: string): Promise<Subscription> {
  const db = await openQueueFile(path, 'NORMAL')
  const pull = puller(db)
  const { remove, copy, release, reclaim, count } = prepare(db)
  const take = ({ id, attempt }: Lease, total: 'acked' | 'deadLettered'): boolean => {
    const topic = remove.get(id, attempt)?.['topic']
    if (topic === undefined) return false
    count[total].run(topic)
    return true
  }
  return {
    pull,
    ack: (lease) => inTransaction(db, () => take(lease, 'acked')),
    nack: ({ id, attempt }, dueAt) => whenFree(() => release.run(dueAt, id, attempt).changes === 1),
    deadLetter: (lease, topic, attributes, now) =>
      inTransaction(db, () => {
        copy.run(topic, now, now, JSON.stringify(attributes), lease.id, lease.attempt)
        return take(lease, 'deadLettered')
      }),
    trim: trimmer(db),
    reclaim: (topic, now) => whenFree(() => Number(reclaim.run(now, topic).changes)),
    close: () => db.close(),
  }
}

function puller(db: DatabaseSync): Subscription['pull'] {
  const where = 'topic = ?1 AND dueAt <= ?2 AND NOT EXISTS (SELECT 1 FROM pausedTopics WHERE topic = ?1)'
  const isDue = db.prepare(`SELECT 1 FROM messages WHERE ${where} LIMIT 1`)
  const due = db.prepare(`SELECT id, length(data) AS bytes FROM messages WHERE ${where} ORDER BY dueAt, id LIMIT ?3`)
  const lease = db.prepare(
    `UPDATE messages SET leased = 1, attempt = attempt + 1, dueAt = ? WHERE id = ? RETURNING ${MESSAGE_COLUMNS}`,
  )
  return async ({ topic, max, now, leaseMs, ...sizes }) => {
    // An idle consumer polls by reading, which neither waits for a lock nor blocks other processes.
    if (isDue.get(topic, now) === undefined) return []
    return inTransaction(db, () =>
      takeWhileFit(due.all(topic, now, max), sizes).map(({ id }) => toMessage(lease.get(now + leaseMs, id ?? null))),
    )
  }
}

type Row = ReturnType<StatementSync['all']>[number]

/** The order stays: a message that does not fit now is the first of a later pull. */
function takeWhileFit(rows: readonly Row[], { maxBytes = Number.POSITIVE_INFINITY, isLargerTaken = false }): Row[] {
  let bytes = 0
  const taken: Row[] = []
  for (const row of rows) {
    bytes += Number(row['bytes'])
    const isTaken = bytes <= maxBytes || (isLargerTaken && taken.length === 0)
    if (!isTaken) break
    taken.push(row)
  }
  return taken
}

function trimmer(db: DatabaseSync): Subscription['trim'] {
  const limit = db.prepare(
    'SELECT dueAt, id FROM messages WHERE topic = ? ORDER BY dueAt DESC, id DESC LIMIT 1 OFFSET ?',
  )
  const remove = db.prepare(`DELETE FROM messages WHERE id IN
    (SELECT id FROM messages WHERE topic = ?1 AND (dueAt < ?2 OR (dueAt, id) <= (?3, ?4)) ORDER BY dueAt LIMIT ${TRIM_ROWS})`)
  return async (topic, { before, keep }) => {
    const { dueAt = -1, id = -1 } = (await whenFree(() => limit.get(topic, keep))) ?? {}
    while ((await whenFree(() => remove.run(topic, before, dueAt, id).changes)) === TRIM_ROWS);
  }
}

function prepare(db: DatabaseSync) {
  const held = 'id = ? AND attempt = ? AND leased = 1'
  const counter = (total: 'acked' | 'deadLettered'): StatementSync =>
    db.prepare(
      `INSERT INTO topicTotals (topic, ${total}) VALUES (?, 1) ON CONFLICT DO UPDATE SET ${total} = ${total} + 1`,
    )
  return {
    remove: db.prepare(`DELETE FROM messages WHERE ${held} RETURNING topic`),
    copy: db.prepare(
      `INSERT INTO messages (topic, dueAt, publishedAt, attributes, data) SELECT ?, ?, ?, ?, data FROM messages WHERE ${held}`,
    ),
    release: db.prepare(`UPDATE messages SET leased = 0, dueAt = ? WHERE ${held}`),
    reclaim: db.prepare('UPDATE messages SET leased = 0, dueAt = ? WHERE topic = ? AND leased = 1'),
    count: { acked: counter('acked'), deadLettered: counter('deadLettered') },
  }
}
