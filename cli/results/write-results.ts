import { createWriteStream, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { printable } from '../../shared/lib/printable.ts'
import { PRIVATE_FILE, PRIVATE_FOLDER } from '../../shared/lib/private-files.ts'
import { type Grouped, groupParts } from './document-parts.ts'
import { documentText, formats, shownText, type WriteResult } from './formats.ts'
import { type Listing, type Reader, type Result, readResults, type WrittenResults } from './read-results.ts'

export interface WriteOptions {
  /** Absent: an OpenAI Batch output file. */
  readonly format?: WriteResult
  /** What is written before the first result. */
  readonly header?: string
  /** Gets the failed jobs, which then have no line in the output. */
  readonly failures?: FailureFile
  /** Whether a job is to be written; all are, if absent. */
  readonly isNew?: (key: string) => boolean
  /** Whether each result is written at once. Otherwise several are written together, which is faster. */
  readonly isPrompt?: boolean
  /** Whether the parts of a document are written together, as text. */
  readonly isGrouped?: boolean
}

export interface FailureFile {
  write(result: Result): Promise<void>
}

/** Writes the settled jobs of a listing to a file. Its folder is created if it does not exist. */
export async function writeResultsFile(
  path: string,
  reader: Reader,
  listing: Listing,
  options: WriteOptions = {},
): Promise<WrittenResults> {
  return writeResults(openFile(path), reader, listing, options)
}

/** Only the owner may read what is created. A file that exists, a pipe or a device keeps its mode. */
function openFile(path: string): Writable {
  mkdirSync(dirname(path), { recursive: true, mode: PRIVATE_FOLDER })
  return createWriteStream(path, { mode: PRIVATE_FILE })
}

/**
 * Writes them to a stream, which it ends unless it is standard output.
 *
 * One answer at a time is in memory: the next one is read when the stream has room for it.
 */
export async function writeResults(
  out: Writable,
  reader: Reader,
  listing: Listing,
  { format = formats.jsonl.write, header = '', failures, isNew, isPrompt, isGrouped }: WriteOptions = {},
): Promise<WrittenResults> {
  const results = readResults(reader, listing, isNew)
  const isApart = (result: Result) => failures !== undefined && result.kind !== 'answer'
  const grouping = isGrouped
    ? (read: AsyncIterable<Result>) => groupParts(read, (result) => (isApart(result) ? undefined : shownText(result)))
    : ungrouped
  async function* lines() {
    if (header !== '') yield header
    for await (const grouped of grouping(results.read())) {
      if (grouped.kind === 'document') for (const piece of documentText(grouped.document)) yield printable(piece)
      else if (failures !== undefined && isApart(grouped.result)) await failures.write(grouped.result)
      else for (const piece of format(grouped.result)) yield printableRow(piece)
    }
  }
  await pipeline(isPrompt ? lines : () => inChunks(lines()), out, { end: out !== process.stdout })
  return results.written()
}

async function* ungrouped(results: AsyncIterable<Result>): AsyncGenerator<Grouped> {
  for await (const result of results) yield { kind: 'result', result }
}

const ROW_END = '\r\n'

/** The row of a CSV file keeps its end. */
function printableRow(piece: string): string {
  return piece.endsWith(ROW_END) ? `${printable(piece.slice(0, -ROW_END.length))}${ROW_END}` : printable(piece)
}

const CHUNK_LENGTH = 64 * 1024

/** The same text in fewer pieces: each write has a cost. */
async function* inChunks(pieces: AsyncIterable<string>): AsyncGenerator<string> {
  let chunk = ''
  for await (const piece of pieces) {
    chunk += piece
    if (chunk.length < CHUNK_LENGTH) continue
    yield chunk
    chunk = ''
  }
  if (chunk !== '') yield chunk
}
