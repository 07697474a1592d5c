import { createHash } from 'node:crypto'
import {
  type DeadLetter,
  type DeadLetterFilter,
  type DeadLetterStore,
  type NewDeadLetter,
  statusOf,
} from './dead-letter-store.ts'
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
    beginReplay: ({ id, replays: seen }, at) =>
      changeReplays(documents, id, (now) =>
        now.n !== seen.n || isUnderWay(now, at) ? undefined : { ...now, begunAt: at },
      ),
    endReplay: (id, as, at) =>
      changeReplays(documents, id, ({ begunAt, ...now }) => (as === 'published' ? { n: now.n + 1, lastAt: at } : now)),
    discard: (id) => discard(documents, id),
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
  { since = 0, before = Infinity, status, ...filter }: DeadLetterFilter,
  limit: number,
  after: string | undefined,
): Promise<Listing<DeadLetter>> {
  const found: DeadLetter[] = []
  let unreadable = 0
  // An index on the time itself would send all writes to one place of the index.
  const matches = (letter: DeadLetter) =>
    letter.lastAt >= since && letter.lastAt < before && (status === undefined || statusOf(letter) === status)
  for await (const { letter } of documents.walk({ filter, after, limit })) {
    if (letter === undefined) unreadable += 1
    else if (matches(letter)) found.push(letter)
    if (found.length >= limit) break
  }
  return { found, unreadable }
}

type Replays = DeadLetter['replays']

/** After this time, a replay that has not ended was stopped, and another one may begin. Milliseconds. */
const REPLAY_ENDS_AFTER_MS = 10 * 60_000

function isUnderWay({ begunAt }: Replays, now: number): boolean {
  return begunAt !== undefined && now - begunAt < REPLAY_ENDS_AFTER_MS
}

/** Resolves with false if there is no such letter, or if it must not change. */
async function changeReplays(
  documents: LetterDocuments,
  id: string,
  change: (now: Replays) => Replays | undefined,
): Promise<boolean> {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const found = await documents.read(id)
    const replays = found?.letter && change(found.letter.replays)
    if (found?.letter === undefined || replays === undefined) return false
    const written = await documents.update({ ...found.letter, replays }, found.revision)
    if (written.kind === 'written') return true
  }
  throw new StoreError('unavailable', 'too many write this dead letter at once')
}

/** A malformed letter can be discarded too. */
async function discard(documents: LetterDocuments, id: string): Promise<boolean> {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const found = await documents.read(id)
    if (found === undefined) return false
    if ((await documents.remove(found, found.revision)).kind === 'written') return true
  }
  throw new StoreError('unavailable', 'too many write this dead letter at once')
}
