import { z } from 'zod'
import { type DeadLetter, type DeadLetterFilter, deadLetter } from './dead-letter-store.ts'
import { StoreError } from './job-store.ts'
import type { Write } from './record-documents.ts'

/** A letter as the store holds it; undefined, where what it holds is not of our form. */
interface StoredLetter {
  readonly id: string
  readonly letter: DeadLetter | undefined
}

interface LetterPage {
  readonly filter: Omit<DeadLetterFilter, 'since'>
  readonly limit: number
  readonly after: string | undefined
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
  read(id: string): Promise<(StoredLetter & { readonly revision: string }) | undefined>
  /** The data in one piece or many, in order; whether they are whole is not looked at. */
  readData(letter: DeadLetter): Promise<readonly Uint8Array[]>
  /** In the order of their ids. */
  page(page: LetterPage): Promise<readonly StoredLetter[]>
}

/** A letter as stores keep it: not every name of an attribute may name a field in Firestore. */
const storedLetter = deadLetter.extend({
  attributes: z
    .array(z.object({ name: z.string(), value: z.string() }))
    .transform((list) => Object.fromEntries(list.map(({ name, value }) => [name, value]))),
})

/** What a store keeps of a letter. Throws StoreError `refused` where nobody could read it again. */
export function toStoredLetter(letter: DeadLetter) {
  const parsed = deadLetter.safeParse(letter)
  if (!parsed.success) throw new StoreError('refused', 'a dead letter is not of our form', parsed.error)
  const attributes = Object.entries(parsed.data.attributes).map(([name, value]) => ({ name, value }))
  return { ...parsed.data, attributes }
}

/** Reads what a store gave; undefined where it is not of our form. */
export function readStoredLetter(document: unknown): DeadLetter | undefined {
  return storedLetter.safeParse(document).data
}
