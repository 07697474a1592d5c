import { z } from 'zod'
import { type DeadLetter, type DeadLetterStore, deadLetter } from '../dead-letter-store.ts'
import { createDeadLetterStore } from '../dead-letters.ts'
import { StoreError } from '../job-store.ts'
import { type LetterDocuments, readStoredLetter, toStoredLetter } from '../letter-documents.ts'
import { MAX_RESULT_BYTES } from '../result-parts.ts'
import { FIRESTORE_FLUSH } from './coalesce-writes.ts'
import type { Database } from './database.ts'
import { createDocumentWriter } from './document-writer.ts'
import { fromRevision, timestamp, toRevision } from './protocol.ts'
import { fields, toFields } from './values.ts'

const LETTERS = 'deadLetters'
const PARTS = 'parts'
/** All but the data, which nobody wants in a list. */
const LETTER_FIELDS = Object.keys(deadLetter.shape)
/** The most data that fits into the document, beside a hundred attributes at their longest. */
const MAX_DATA_BYTES = 600 * 1024
/** Google's emulator takes 4 MiB a call, where Firestore takes ten; only the parts of large data come near. */
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
  /** Only ids of ours are names: what somebody typed could lead elsewhere. */
  const isName = (id: string) => deadLetter.shape.id.safeParse(id).success

  /** Named by the hash of the whole, so that parts of two writers are the same, and those of other data are others. */
  async function writeParts({ id, data: { sha256: owner }, expireAt }: DeadLetter, parts: readonly Uint8Array[]) {
    const write = (bytes: Uint8Array, n: number) =>
      put({ name: `${root}${id}/${PARTS}/${owner}-${n}`, fields: toFields({ owner, n, bytes, expireAt }) })
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
    async read(id) {
      if (!isName(id)) return undefined
      const { found } = getAnswer.parse(await database.get(root + id, LETTER_FIELDS))
      if (!found) return undefined
      const letter = readStoredLetter(fields.safeParse(found.fields).data)
      return { id, letter, revision: toRevision(found.updateTime) }
    },
    async readData({ id, data: { sha256: owner } }) {
      const { found } = getAnswer.parse(await database.get(root + id, ['raw', 'parts']))
      const beside = besideLetter.safeParse(fields.safeParse(found?.fields).data)
      if (!beside.success) throw new StoreError('corrupt', 'a dead letter has no data of our form', beside.error)
      const { raw, parts: count = 0 } = beside.data
      if (raw !== undefined) return [raw]
      const written = (await database.query(root + id, PARTS, { owner })).flatMap(
        (each) => part.safeParse(each).data ?? [],
      )
      return written
        .filter(({ n }) => n < count)
        .sort((a, b) => a.n - b.n)
        .map(({ bytes }) => bytes)
    },
    async page({ filter, limit, after }) {
      const { batch, reason, model } = filter
      const given = Object.entries({ batch, reason, model }).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, value] as const],
      )
      const last = after === undefined || !isName(after) ? undefined : root + after
      const page = { equal: Object.fromEntries(given), mask: LETTER_FIELDS, limit, after: last }
      const found = await database.page(LETTERS, page)
      return found.map(({ name, fields }) => ({ id: name.slice(root.length), letter: readStoredLetter(fields) }))
    },
  }
}

const getAnswer = z.object({ found: z.object({ fields: z.unknown(), updateTime: timestamp }).nullish() })
const besideLetter = z.object({ raw: z.instanceof(Uint8Array).optional(), parts: z.number().optional() })
const part = z.object({ n: z.number(), bytes: z.instanceof(Uint8Array) })

function cut(data: Uint8Array): Uint8Array[] {
  const count = Math.ceil(data.byteLength / MAX_RESULT_BYTES)
  return Array.from({ length: count }, (_, n) => data.subarray(n * MAX_RESULT_BYTES, (n + 1) * MAX_RESULT_BYTES))
}
