import { createWriteStream, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { isSettled, type SettledRecord } from '../shared/job/record.ts'
import { type JobReader, StoreError } from '../shared/store/job-store.ts'
import type { ListedRecord } from '../shared/store/record-documents.ts'
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
  /** Answers that cannot be read; the line has an error in their place. */
  readonly torn: number
}

const MAX_KEYS = 20

/** Writes the settled jobs of a listing as an OpenAI Batch output file; its folder is made if need be. */
export async function writeResultsFile(path: string, reader: Reader, listing: Listing): Promise<WrittenResults> {
  mkdirSync(dirname(path), { recursive: true })
  return writeResults(createWriteStream(path), reader, listing)
}

/**
 * Writes them to a stream, which it ends unless it is standard output.
 *
 * One line at a time is in memory: the next answer is read when the stream has room for it.
 */
export async function writeResults(out: Writable, reader: Reader, listing: Listing): Promise<WrittenResults> {
  const written = { left: 0, unreadable: 0, keys: [] as string[], torn: 0 }
  async function* lines() {
    for await (const listed of listing) {
      if ('unreadable' in listed) {
        written.unreadable += 1
        if (written.keys.length < MAX_KEYS) written.keys.push(listed.unreadable)
      } else if (isSettled(listed.record)) {
        const line = await readLine(reader, listed.record)
        if (line === undefined) written.torn += 1
        yield `${line ?? errorLine(listed.record, 'corrupt', 'the stored answer cannot be read')}\n`
      } else written.left += 1
    }
  }
  await pipeline(lines, out, { end: out !== process.stdout })
  return written
}

/** Undefined where the parts of the answer are not whole: that is no reason to leave out the other jobs. */
async function readLine(reader: Reader, record: SettledRecord): Promise<string | undefined> {
  try {
    return batchOutputLine(record, await reader.readResult(record))
  } catch (error) {
    if (error instanceof StoreError && error.code === 'corrupt') return undefined
    throw error
  }
}
