import { createHash } from 'node:crypto'
import type { DeadLetter, DeadLetterFilter, DeadLetterStore, NewDeadLetter } from './dead-letter-store.ts'
import { StoreError } from './job-store.ts'
import type { LetterDocuments } from './letter-documents.ts'
import type { Listing } from './telemetry-store.ts'

/** The number of retries if several instances write one letter at once. */
const MAX_TRIES = 5

/** Keeps dead letters over any store of documents with revisions: one write, and a read only if the letter exists. */
export function createDeadLetterStore(documents: LetterDocuments): DeadLetterStore {
  return {
    async put(came, data) {
      const hash = createHash('sha256').update(data).digest('hex')
      const letter = firstLetter(came, { bytes: data.byteLength, sha256: hash })
      return (await putAs(documents, letter, data)) ?? putByHash(documents, letter, data)
    },
    async get(id) {
      const found = await documents.read(id)
      if (found !== undefined && found.letter === undefined) throw corrupt('a dead letter is malformed')
      return found?.letter
    },
    async readData(letter) {
      const data = Buffer.concat(await documents.readData(letter))
      const hash = createHash('sha256').update(data).digest('hex')
      if (hash !== letter.data.sha256) throw corrupt("a dead letter's data is not whole")
      return data
    },
    list: (filter, limit, after) => list(documents, filter, limit, after),
    markReplayed: (id, at) => markReplayed(documents, id, at),
  }
}

function corrupt(message: string): StoreError {
  return new StoreError('corrupt', message)
}

function firstLetter({ at, ...fields }: NewDeadLetter, data: DeadLetter['data']): DeadLetter {
  const id = `${fields.key ?? data.sha256}:${fields.run}`
  return { ...fields, id, data, firstAt: at, lastAt: at, times: 1, replays: { n: 0 } }
}

/** Updates the letter of a message that arrived again. Its counts continue. */
function again(before: DeadLetter, now: DeadLetter): DeadLetter {
  const { firstAt, times, replays } = before
  return { ...now, firstAt, lastAt: Math.max(before.lastAt, now.lastAt), times: times + 1, replays }
}

/** Resolves with undefined if another message has this id: a conflicting message has the key and run of its job. */
async function putAs(
  documents: LetterDocuments,
  letter: DeadLetter,
  data: Uint8Array,
): Promise<DeadLetter | undefined> {
  const isNamedByHash = letter.id.startsWith(letter.data.sha256)
  let next = letter
  let revision: string | undefined
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    if ((await documents.write(next, data, revision)).kind === 'written') return next
    const found = await documents.read(letter.id)
    const isSame = found?.letter?.data.sha256 === letter.data.sha256
    if (found !== undefined && !isSame && !isNamedByHash) return undefined
    // An id made from the data's own hash can belong to this message only. A damaged letter is overwritten.
    next = found?.letter !== undefined && isSame ? again(found.letter, letter) : letter
    revision = found?.revision
  }
  throw new StoreError('unavailable', 'too many write this dead letter at once')
}

async function putByHash(documents: LetterDocuments, letter: DeadLetter, data: Uint8Array): Promise<DeadLetter> {
  const named = { ...letter, id: `${letter.data.sha256}:${letter.run}` }
  const put = await putAs(documents, named, data)
  if (put === undefined) throw corrupt('another letter stands under the hash of this one')
  return put
}

async function list(
  documents: LetterDocuments,
  { since = 0, ...filter }: DeadLetterFilter,
  limit: number,
  after: string | undefined,
): Promise<Listing<DeadLetter>> {
  const found: DeadLetter[] = []
  let unreadable = 0
  for await (const { letter } of documents.walk({ filter, after, limit })) {
    if (letter === undefined) unreadable += 1
    // An index on the time itself would send all writes to one place of the index.
    else if (letter.lastAt >= since) found.push(letter)
    if (found.length >= limit) break
  }
  return { found, unreadable }
}

async function markReplayed(documents: LetterDocuments, id: string, at: number): Promise<boolean> {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const found = await documents.read(id)
    if (found?.letter === undefined) return false
    const replays = { n: found.letter.replays.n + 1, lastAt: at }
    const written = await documents.update({ ...found.letter, replays }, found.revision)
    if (written.kind === 'written') return true
  }
  throw new StoreError('unavailable', 'too many write this dead letter at once')
}
