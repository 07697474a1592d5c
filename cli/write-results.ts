import { createWriteStream, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { isSettled, type JobRecord } from '../shared/job/record.ts'
import type { JobReader } from '../shared/store/job-store.ts'
import { batchOutputLine } from './batch-output.ts'

type Reader = Pick<JobReader, 'readResult'>

/** Writes the settled jobs of a batch as an OpenAI Batch output file, in order of their ids. */
export async function writeResultsFile(path: string, reader: Reader, records: readonly JobRecord[]): Promise<void> {
  mkdirSync(dirname(path), { recursive: true })
  await writeResults(createWriteStream(path), reader, records)
}

/** Does the same to a stream, which it ends but for standard output. */
export async function writeResults(out: Writable, reader: Reader, records: readonly JobRecord[]): Promise<void> {
  const settled = records.filter(isSettled).toSorted((a, b) => (a.id < b.id ? -1 : 1))
  async function* lines() {
    for (const record of settled) yield `${batchOutputLine(record, await reader.readResult(record))}\n`
  }
  await pipeline(Readable.from(lines()), out, { end: out !== process.stdout })
}
