import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { inTransaction, whenFree } from '../../lib/sqlite.ts'
import type { DeadLetter, DeadLetterReader, DeadLetterStore } from '../dead-letter-store.ts'
import { createDeadLetterStore } from '../dead-letters.ts'
import { StoreError } from '../job-store.ts'
import { type LetterDocuments, readStoredLetter, toStoredLetter } from '../letter-documents.ts'
import type { Write } from '../record-documents.ts'
import { groupCommits } from './group-commits.ts'
import { lazily } from './lazily.ts'
import { named, openTables, type Schema, type SchemaExtent } from './open-tables.ts'
import { translated } from './translated.ts'

const PAGE = 300

// The data is the last column, because SQLite reads through a long column to reach the columns after it.
const LETTERS = `
  CREATE TABLE deadLetters (
    id TEXT PRIMARY KEY,
    batch TEXT NOT NULL,
    reason TEXT NOT NULL,
    model TEXT,
    revision INTEGER NOT NULL,
    expireAt INTEGER NOT NULL,
    document TEXT NOT NULL,
    data BLOB NOT NULL
  ) STRICT
`

const schema: Schema = {
  tables: [named('deadLetters', LETTERS)],
  indexes: [
    named('deadLettersByBatch', 'CREATE INDEX deadLettersByBatch ON deadLetters (batch, id)'),
    named('deadLettersExpire', 'CREATE INDEX deadLettersExpire ON deadLetters (expireAt)'),
  ],
}

/**
 * Keeps dead letters in the file that holds the records; one is on disk when its write resolves. Rejects with
 * StoreError.
 */
export function openSqliteDeadLetters(
  path: string,
  extent: SchemaExtent = 'whole',
): Promise<DeadLetterStore & { close(): void }> {
  return openTables(path, schema, extent, (db) => createDeadLetterStore({ ...letterReads(db), ...letterWrites(db) }))
}

/** Reads dead letters from a file that is open for reading. */
export function readSqliteDeadLetters(db: DatabaseSync): DeadLetterReader {
  const refuse = async () => {
    throw new StoreError('refused', 'the file is open for reading')
  }
  return createDeadLetterStore({ ...letterReads(db), write: refuse, update: refuse, remove: refuse })
}

type LetterReads = Pick<LetterDocuments, 'read' | 'readData' | 'walk'>

function letterWrites(db: DatabaseSync): Omit<LetterDocuments, keyof LetterReads> {
  const columns = 'batch = :batch, reason = :reason, model = :model, expireAt = :expireAt, document = :document'
  const fence = 'WHERE id = :id AND revision = :revision'
  const insert = db.prepare(`INSERT INTO deadLetters
    VALUES (:id, :batch, :reason, :model, 1, :expireAt, :document, :data) ON CONFLICT (id) DO NOTHING`)
  const replace = db.prepare(`UPDATE deadLetters SET revision = revision + 1, ${columns}, data = :data ${fence}`)
  const update = db.prepare(`UPDATE deadLetters SET revision = revision + 1, ${columns} ${fence}`)
  const remove = db.prepare(`DELETE FROM deadLetters ${fence}`)
  const write = groupCommits<Write>((work) => inTransaction(db, work))

  return {
    write: (letter, data, revision) =>
      translated(() => {
        const row = { ...rowOf(letter), data }
        if (revision === undefined) return write(() => written(insert.run(row).changes, 1))
        return write(() => written(replace.run({ ...row, revision }).changes, Number(revision) + 1))
      }),
    update: (letter, revision) =>
      translated(() => {
        const row = { ...rowOf(letter), revision }
        return write(() => written(update.run(row).changes, Number(revision) + 1))
      }),
    remove: ({ id }, revision) =>
      translated(() => write(() => written(remove.run({ id, revision }).changes, Number(revision)))),
  }
}

function letterReads(db: DatabaseSync): LetterReads {
  const read = lazily(db, 'SELECT id, document, revision FROM deadLetters WHERE id = ?')
  const readData = lazily(db, 'SELECT data FROM deadLetters WHERE id = ?')
  const page = lazily(
    db,
    `SELECT id, document FROM deadLetters WHERE id > :after
    AND (:batch IS NULL OR batch = :batch) AND (:reason IS NULL OR reason = :reason)
    AND (:model IS NULL OR model = :model) ORDER BY id LIMIT :limit`,
  )
  return {
    read: (id) =>
      translated(() =>
        whenFree(() => {
          const row = read()?.get(id)
          return row === undefined ? undefined : { ...toStored(row), ...revisionRow.parse(row) }
        }),
      ),
    readData: ({ id }) =>
      translated(() => whenFree(() => (readData()?.all(id) ?? []).map((row) => dataRow.parse(row).data))),
    async *walk({ filter: { batch = null, reason = null, model = null }, after = '' }) {
      let [last, isLast] = [after, false]
      while (!isLast) {
        const asked = { batch, reason, model, limit: PAGE, after: last }
        const letters = await translated(() => whenFree(() => (page()?.all(asked) ?? []).map(toStored)))
        yield* letters
        last = letters.at(-1)?.id ?? last
        isLast = letters.length < PAGE
      }
    },
  }
}

const letterRow = z.object({ id: z.string(), document: z.string() })
const revisionRow = z.object({ revision: z.number().transform(String) })
const dataRow = z.object({ data: z.instanceof(Uint8Array) })

function rowOf(letter: DeadLetter) {
  const whole = toStoredLetter(letter)
  const { id, batch, reason, model = null, expireAt } = whole
  return { id, batch, reason, model, expireAt, document: JSON.stringify(whole) }
}

/** Text that is not JSON is not a letter. */
function toStored(row: unknown) {
  const { id, document } = letterRow.parse(row)
  try {
    return { id, letter: readStoredLetter(id, JSON.parse(document)) }
  } catch {
    return { id, letter: undefined }
  }
}

function written(changes: number | bigint, revision: number): Write {
  return changes === 1 ? { kind: 'written', revision: String(revision) } : { kind: 'refused' }
}
