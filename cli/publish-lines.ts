import type { Job } from '../shared/job/job.ts'
import { MAX_JOB_BYTES, parseJob, tooLong } from '../shared/job/parse-job.ts'
import { sha256 } from '../shared/lib/sha256.ts'
import type { JobQueue, Message } from '../shared/queues/job-queue.ts'
import { createSeenJobs, type SeenJobs } from './seen-jobs.ts'
import { type Line, splitLines } from './split-lines.ts'

/** The size of a publish request. The input is read at the speed of publishing. */
const MAX_CHUNK = 500
const MAX_CHUNK_BYTES = 16 * 1024 * 1024

/** How many lines were published, repeated or rejected. */
export interface Submitted {
  readonly published: number
  /** Published lines that are the same job as an earlier line, byte for byte. */
  readonly repeated: number
  /** Lines that are not jobs. */
  readonly refused: number
}

export interface PublishOptions {
  readonly queue: JobQueue
  readonly topic: string
  /** '' for no batch. */
  readonly batch: string
  /** Called before the first publish, and not at all if nothing is published. */
  readonly beforeFirst: () => Promise<void>
  readonly onPublished: (count: number) => void
  readonly onRefused: (line: number, problem: string) => void
}

/**
 * Publishes each line of a JSON Lines input as a job, with its bytes unchanged.
 *
 * Rejects if the whole input is UTF-16, and with the errors of the queue.
 */
export async function publishLines(input: AsyncIterable<Uint8Array>, options: PublishOptions): Promise<Submitted> {
  const { batch, onRefused } = options
  const attributes = batch === '' ? {} : { batch }
  const publisher = publishInChunks(options)
  const seen = createSeenJobs()
  let [repeated, refused] = [0, 0]
  for await (const line of splitLines(input, MAX_JOB_BYTES)) {
    if (line.number === 1 && isUtf16(line.data)) throw new Error(`the input is ${UTF16}`)
    if (isBlank(line)) continue
    const read = readLine(line, attributes, seen)
    if (read.ok) {
      if (read.isRepeated) repeated += 1
      await publisher.add({ data: line.data, attributes })
    } else {
      refused += 1
      onRefused(line.number, read.problem)
    }
  }
  return { published: await publisher.end(), repeated, refused }
}

type ReadLine = { readonly ok: true; readonly isRepeated: boolean } | { readonly ok: false; readonly problem: string }

function readLine({ number, data, byteLength }: Line, attributes: Message['attributes'], seen: SeenJobs): ReadLine {
  if (byteLength > MAX_JOB_BYTES) return { ok: false, problem: tooLong(byteLength) }
  const parsed = parseJob(data, attributes, sha256)
  if (!parsed.ok) return { ok: false, problem: holdsNul(data) ? `the data is ${UTF16}` : parsed.problem }
  return compare(parsed.job, number, seen)
}

function compare(job: Job, number: number, seen: SeenJobs): ReadLine {
  const earlier = seen.add(job, number)
  if (earlier === undefined || earlier.isSame) return { ok: true, isRepeated: earlier !== undefined }
  return { ok: false, problem: `line ${earlier.line} has the same custom_id and other data` }
}

function publishInChunks({ queue, topic, beforeFirst, onPublished }: PublishOptions) {
  let chunk: Message[] = []
  let [bytes, published] = [0, 0]
  async function flush(): Promise<void> {
    if (published === 0) await beforeFirst()
    await queue.publishAll(topic, chunk)
    published += chunk.length
    chunk = []
    bytes = 0
    onPublished(published)
  }
  return {
    async add(message: Message): Promise<void> {
      chunk.push(message)
      bytes += message.data.byteLength
      if (chunk.length >= MAX_CHUNK || bytes >= MAX_CHUNK_BYTES) await flush()
    },
    /** Resolves with how many messages were published. */
    async end(): Promise<number> {
      if (chunk.length > 0) await flush()
      return published
    },
  }
}

const UTF16 = 'UTF-16 text: save the file as UTF-8'
const UTF16_MARKS = [Buffer.from([0xff, 0xfe]), Buffer.from([0xfe, 0xff])]

/** Recognized by its byte order mark, or by a NUL in its first character. */
function isUtf16(start: Uint8Array): boolean {
  const first = start.subarray(0, 2)
  return UTF16_MARKS.some((mark) => mark.equals(first)) || holdsNul(first)
}

/** JSON text contains no NUL byte. In UTF-16, each ASCII character has one. */
function holdsNul(data: Uint8Array): boolean {
  return data.includes(0)
}

const SPACES = Buffer.from(' \t\v\f\r')

function isBlank({ data, byteLength }: Line): boolean {
  return byteLength === data.length && data.every((byte) => SPACES.includes(byte))
}
