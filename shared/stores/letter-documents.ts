import { z } from 'zod'
import { type DeadLetter, type DeadLetterFilter, deadLetter } from './dead-letter-store.ts'
import { StoreError } from './job-store.ts'
import { given, lenient, NEVER, time, whole } from './lenient.ts'
import type { Write } from './record-documents.ts'

/** Reads a stored letter; undefined if it is malformed. */
export interface StoredLetter {
  readonly id: string
  readonly letter: DeadLetter | undefined
}

interface LetterWalk {
  readonly filter: Pick<DeadLetterFilter, 'batch' | 'reason' | 'model'>
  /** An id. */
  readonly after: string | undefined
  /** How many letters the caller expects to read. Further letters may be read one by one. */
  readonly limit: number
}

/**
 * What an adapter offers: letters with revisions, each with its data beside it.
 *
 * Every method rejects with StoreError when the store cannot be reached; a write may then have been applied.
 */
export interface LetterDocuments {
  /** Writes letter and data over the revision; without one, it is refused if anything is there already. */
  write(letter: DeadLetter, data: Uint8Array, revision: string | undefined): Promise<Write>
  /** Writes the letter alone; refused unless the revision is still the newest. */
  update(letter: DeadLetter, revision: string): Promise<Write>
  /** Deletes letter and data; refused unless the revision is still the newest. */
  remove(stored: StoredLetter, revision: string): Promise<Write>
  read(id: string): Promise<(StoredLetter & { readonly revision: string }) | undefined>
  /** The data in one or more pieces, in order. It is not checked whether the data is complete. */
  readData(letter: DeadLetter): Promise<readonly Uint8Array[]>
  /** In the order of their ids, read page by page. */
  walk(walk: LetterWalk): AsyncIterable<StoredLetter>
}

/** The stored form of a letter. Attributes are a list, because not every attribute name can be a field in Firestore. */
const attribute = z.object({ name: z.string(), value: z.string() })

/** Converts a letter to its stored form. Throws StoreError `refused` if it could not be read back. */
export function toStoredLetter(letter: DeadLetter) {
  const parsed = deadLetter.safeParse(letter)
  if (!parsed.success) throw new StoreError('refused', 'a dead letter is malformed', parsed.error)
  const attributes = Object.entries(parsed.data.attributes).map(([name, value]) => ({ name, value }))
  return { ...parsed.data, attributes }
}

const { text } = lenient
/** A field that cannot be read counts as absent. It may be edited by hand or from a newer version. */
const storedLetter = z.object({
  key: text,
  jobId: text,
  model: text,
  code: text,
  hint: text,
  batch: z.string().catch(''),
  reason: z.string().catch('unknown'),
  message: z.string().catch(''),
  verified: z.boolean().optional().catch(undefined),
  attributes: z
    .array(attribute.optional().catch(undefined))
    .transform((list) => Object.fromEntries(list.flatMap((each) => (each ? [[each.name, each.value]] : []))))
    .catch({}),
  /** Without it, it is unknown which message this is. */
  data: deadLetter.shape.data,
  firstAt: lenient.time,
  lastAt: lenient.time,
  times: whole.catch(1),
  replays: z
    .object({ n: whole.catch(0), lastAt: lenient.time, begunAt: lenient.time })
    .transform(given)
    .catch({ n: 0 }),
  /** A document without it never expires. */
  expireAt: time.catch(NEVER),
})

/** Reads the readable fields of a stored dead letter, or returns undefined if it is not one. */
export function readStoredLetter(id: string, document: unknown): DeadLetter | undefined {
  const { data: found } = storedLetter.safeParse(document)
  if (found === undefined) return undefined
  const { firstAt = found.lastAt ?? 0, lastAt = firstAt } = found
  const run = Number(id.slice(id.lastIndexOf(':') + 1))
  return deadLetter.safeParse(given({ ...found, id, run, firstAt, lastAt })).data
}
