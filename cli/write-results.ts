import { createWriteStream, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { isSettled, type SettledRecord } from '../shared/job/record.ts'
import { printable } from '../shared/lib/printable.ts'
import { PRIVATE_FILE, PRIVATE_FOLDER } from '../shared/lib/private-files.ts'
import { type JobReader, StoreError } from '../shared/stores/job-store.ts'
import type { ListedRecord } from '../shared/stores/record-documents.ts'
import { batchOutputLine, errorLine } from './batch-output.ts'

type Reader = Pick<JobReader, 'readResult'>
type Listing = AsyncIterable<ListedRecord> | Iterable<ListedRecord>

/** What an output file leaves out, and why. */
export interface WrittenResults {
  /** Jobs that are not settled yet. */
  readonly left: number
  /** Records that cannot be read; they have no line. */
  readonly unreadable: number
  /** The keys of the first of them. */
  readonly keys: readonly string[]
  /** Answers that cannot be read; their lines have an error instead. */
  readonly torn: number
}

const MAX_KEYS = 20

/**
 * Writes the settled jobs of a listing as an OpenAI Batch output file. Its folder is created if it does not exist.
 *
 * Only the owner may read what is created. A file that exists, a pipe or a device keeps its mode.
 */
export async function writeResultsFile(path: string, reader: Reader, listing: Listing): Promise<WrittenResults> {
  mkdirSync(dirname(path), { recursive: true, mode: PRIVATE_FOLDER })
  return writeResults(createWriteStream(path, { mode: PRIVATE_FILE }), reader, listing)
}

/**
 * Writes them to a stream, which it ends unless it is standard output.
 *
 * One answer at a time is in memory: the next one is read when the stream has room for it.
 */
export async function writeResults(out: Writable, reader: Reader, listing: Listing): Promise<WrittenResults> {
  const keys: string[] = []
  let [left, unreadable, torn] = [0, 0, 0]
  async function* lines() {
    for await (const listed of listing) {
      if ('unreadable' in listed) {
        unreadable += 1
        if (keys.length < MAX_KEYS) keys.push(listed.unreadable)
      } else if (!isSettled(listed.record)) left += 1
      else {
        const { record } = listed
        const answer = await readAnswer(reader, record)
        if (answer === TORN) torn += 1
        const pieces =
          answer === TORN
            ? [errorLine(record, 'corrupt', 'the stored answer cannot be read')]
            : batchOutputLine(record, answer)
        for (const piece of pieces) yield printable(piece)
      }
    }
  }
  await pipeline(lines, out, { end: out !== process.stdout })
  return { left, unreadable, keys, torn }
}

/** The parts of this answer are incomplete. The other jobs are still written. */
const TORN = Symbol('torn')

async function readAnswer(reader: Reader, record: SettledRecord): Promise<string | undefined | typeof TORN> {
  try {
    return await reader.readResult(record)
  } catch (error) {
    if (error instanceof StoreError && error.code === 'corrupt') return TORN
    throw error
  }
}
