import { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import type { DocumentPart } from './document-parts.ts'

/** A document of which all parts are there, or all that there are. */
export interface HeldDocument {
  readonly document: string
  /** The texts of its parts in order, below a line for each. One part at a time is in memory. */
  texts(): Iterable<string>
}

/** Keeps the parts of documents until they can be written in order. */
export interface HeldParts extends Disposable {
  /** Keeps a part. `text`: undefined if it has no answer. Returns its document if that is whole now, and has an answer. */
  add(part: DocumentPart, text: string | undefined): HeldDocument | undefined
  /** The documents with an answer of which parts are missing. */
  rest(): Iterable<HeldDocument>
  /** Forgets a document that was written. */
  forget(document: HeldDocument): void
}

const TABLE =
  'CREATE TABLE parts (document TEXT, n INTEGER, parts INTEGER, text TEXT, PRIMARY KEY (document, n)) STRICT'

/**
 * Keeps them in a temporary database, which SQLite moves to a file without a name as it grows. Nothing is left of the file,
 * however the process ends.
 */
export function openHeldParts(): HeldParts {
  const db = new DatabaseSync('')
  db.exec(TABLE)
  const put = db.prepare('INSERT OR REPLACE INTO parts VALUES (:document, :n, :of, :text)')
  const count = db.prepare('SELECT COUNT(*) AS n, COUNT(text) AS answers FROM parts WHERE document = ?')
  const first = db.prepare(
    'SELECT document FROM parts WHERE document > ? AND text IS NOT NULL ORDER BY document LIMIT 1',
  )
  const each = db.prepare('SELECT n, parts, text FROM parts WHERE document = ? ORDER BY n')
  const remove = db.prepare('DELETE FROM parts WHERE document = ?')

  const held = (document: string): HeldDocument => ({ document, texts: () => inOrder(each.iterate(document)) })
  const next = (after: string) => documentRow.optional().parse(first.get(after))?.document
  return {
    add({ document, n, of }, text) {
      put.run({ document, n, of, text: text ?? null })
      const found = countRow.parse(count.get(document))
      return found.n === of && found.answers > 0 ? held(document) : undefined
    },
    *rest() {
      for (let document = next(''); document !== undefined; document = next(document)) yield held(document)
    },
    forget: ({ document }) => void remove.run(document),
    [Symbol.dispose]: () => db.close(),
  }
}

const documentRow = z.object({ document: z.string() })
const countRow = z.object({ n: z.number(), answers: z.number() })
const partRow = z.object({ n: z.number(), parts: z.number(), text: z.string().nullable() })

function* inOrder(rows: Iterable<unknown>): Generator<string> {
  let last = 0
  let of = 0
  for (const row of rows) {
    const { n, parts, text } = partRow.parse(row)
    yield* without(last + 1, n, parts)
    yield text === null ? noAnswer(n, parts) : `--- part ${n} of ${parts} ---\n\n${text.trimEnd()}\n\n`
    last = n
    of = parts
  }
  yield* without(last + 1, of + 1, of)
}

function* without(from: number, to: number, of: number): Generator<string> {
  for (let n = from; n < to; n += 1) yield noAnswer(n, of)
}

function noAnswer(n: number, of: number): string {
  return `--- part ${n} of ${of} has no answer ---\n\n`
}
