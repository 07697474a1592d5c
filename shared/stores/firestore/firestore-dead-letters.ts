import { z } from 'zod'
import { type DeadLetter, type DeadLetterStore, deadLetter } from '../dead-letter-store.ts'
import { createDeadLetterStore } from '../dead-letters.ts'
import { StoreError } from '../job-store.ts'
import { type LetterDocuments, readStoredLetter, type StoredLetter, toStoredLetter } from '../letter-documents.ts'
import { MAX_RESULT_BYTES } from '../result-parts.ts'
import { FIRESTORE_FLUSH } from './coalesce-writes.ts'
import type { Database } from './database.ts'
import { createDocumentWriter } from './document-writer.ts'
import { partName, readPartsOf } from './parts.ts'
import { fromRevision, timestamp, toRevision } from './protocol.ts'
import { fields, toFields } from './values.ts'
import { walkDocuments } from './walk-documents.ts'

const LETTERS = 'deadLetters'
/** All fields except the data, which lists omit. */
const LETTER_FIELDS = Object.keys(deadLetter.shape)
/** The most data that fits into the document, beside a hundred attributes at their longest. */
const MAX_DATA_BYTES = 600 * 1024
/** Google's emulator accepts 4 MiB a call, Firestore 10 MiB. Only the parts of large data reach such sizes. */
const FLUSH = { ...FIRESTORE_FLUSH, maxBytes: 3 * 1024 * 1024 }

/**
 * Keeps dead letters in Firestore: `deadLetters/{id}`. Larger data goes into parts below it, which are written first and
 * expire by themselves. Rejects with StoreError.
 */
export function createFirestoreDeadLetters(database: Database): DeadLetterStore {
  return createDeadLetterStore(letterDocuments(database))
}

function letterDocuments(database: Database): LetterDocuments {
  const put = createDocumentWriter(database, FLUSH)
  const root = `${database.root}/${LETTERS}/`
  /** Only well-formed ids become document names, because other input could name another document. */
  const isName = (id: string) => deadLetter.shape.id.safeParse(id).success

  /** Also those of a letter that is malformed, or of parts that are not there. */
  async function removeParts({ id, letter }: StoredLetter) {
    const { bytes, sha256: owner } = letter?.data ?? { bytes: 0, sha256: '' }
    if (bytes <= MAX_DATA_BYTES) return
    const count = Math.ceil(bytes / MAX_RESULT_BYTES)
    await Promise.all(Array.from({ length: count }, (_, n) => put({ name: partName(root + id, owner, n) })))
  }

  /** The names contain the hash of the data. Two writers of the same data write the same parts. */
  async function writeParts({ id, data: { sha256: owner }, expireAt }: DeadLetter, parts: readonly Uint8Array[]) {
    const write = (bytes: Uint8Array, n: number) =>
      put({ name: partName(root + id, owner, n), fields: toFields({ owner, n, bytes, expireAt }) })
    await Promise.all(parts.map(write))
  }

  return {
    async write(letter, data, revision) {
      const stored = toStoredLetter(letter)
      const parts = data.byteLength > MAX_DATA_BYTES ? cut(data) : []
      await writeParts(letter, parts)
      const beside = parts.length > 0 ? { parts: parts.length } : { raw: data }
      const precondition =
        revision === undefined ? ({ exists: false } as const) : { updateTime: fromRevision(revision) }
      return put({ name: root + letter.id, fields: toFields({ ...stored, ...beside }), precondition })
    },
    update(letter, revision) {
      const precondition = { updateTime: fromRevision(revision) }
      const stored = toStoredLetter(letter)
      return put({ name: root + letter.id, fields: toFields(stored), precondition, mask: LETTER_FIELDS })
    },
    async remove(stored, revision) {
      const written = await put({ name: root + stored.id, precondition: { updateTime: fromRevision(revision) } })
      if (written.kind === 'written') await removeParts(stored)
      return written
    },
    async read(id) {
      if (!isName(id)) return undefined
      const { found } = getAnswer.parse(await database.get(root + id, LETTER_FIELDS))
      if (!found) return undefined
      const letter = readStoredLetter(id, found.fields)
      return { id, letter, revision: toRevision(found.updateTime) }
    },
    async readData({ id, data: { sha256: owner } }) {
      const { found } = getAnswer.parse(await database.get(root + id, ['raw', 'parts']))
      const beside = besideLetter.safeParse(found?.fields)
      if (!beside.success) throw new StoreError('corrupt', 'a dead letter has no data of our form', beside.error)
      const { raw, parts } = beside.data
      if (raw !== undefined) return [raw]
      return parts === undefined ? [] : Array.fromAsync(readPartsOf(database, root + id, owner, bytesPart))
    },
    async *walk({ filter, after }) {
      const { batch, reason, model } = filter
      const equal = given({ batch, reason, model })
      const last = after === undefined || !isName(after) ? undefined : root + after
      for await (const { name, fields } of walkDocuments(database, LETTERS, {
        equal,
        mask: LETTER_FIELDS,
        after: last,
      })) {
        yield letterAt(name.slice(root.length), fields)
      }
    },
  }
}

function letterAt(id: string, document: unknown) {
  return { id, letter: readStoredLetter(id, document) }
}

function given(equal: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(equal).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])),
  )
}

const getAnswer = z.object({ found: z.object({ fields, updateTime: timestamp }).nullish() })
const besideLetter = z.object({ raw: z.instanceof(Uint8Array).optional(), parts: z.number().optional() })
const bytesPart = z.object({ bytes: z.instanceof(Uint8Array) }).transform(({ bytes }) => bytes)

function cut(data: Uint8Array): Uint8Array[] {
  const count = Math.ceil(data.byteLength / MAX_RESULT_BYTES)
  return Array.from({ length: count }, (_, n) => data.subarray(n * MAX_RESULT_BYTES, (n + 1) * MAX_RESULT_BYTES))
}
