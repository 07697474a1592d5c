import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import type { Job } from '../../shared/job/job.ts'
import { MAX_JOB_BYTES, parseJob, tooLong } from '../../shared/job/parse-job.ts'
import { sha256 } from '../../shared/lib/sha256.ts'
import { type Line, splitLines } from '../../shared/lib/split-lines.ts'
import type { Message } from '../../shared/queues/job-queue.ts'
import { MisuseError } from '../exit-codes.ts'
import { createLinePlan, type LinePlan } from './line-plan.ts'
import { addUse, type ModelUse, useOf } from './model-use.ts'
import { createSeenJobs } from './seen-jobs.ts'

/** What a whole input holds. */
export interface CheckedLines {
  readonly jobs: number
  /** Lines that are the same job as an earlier line, byte for byte. They are not sent. */
  readonly repeated: number
  /** Lines that are not jobs. */
  readonly refused: number
  /** By the model that the jobs name; '' for those that name none. */
  readonly models: ReadonlyMap<string, ModelUse>
  /** Of all jobs, in their order: the same jobs have the same one. */
  readonly fingerprint: string
  /** Which lines to send. */
  readonly plan: LinePlan
}

export interface CheckOptions {
  /** Of the messages. */
  readonly attributes: Message['attributes']
  readonly onRefused: (line: number, problem: string) => void
  readonly onChecked?: (lines: number) => void
  readonly signal?: AbortSignal
}

/** Progress is reported after so many lines. */
const REPORT_EVERY = 1_000

/**
 * Checks each line of a JSON Lines input, and sends nothing.
 *
 * Rejects with MisuseError if the input is UTF-16 or no text at all, and with the errors of the input.
 */
export async function checkLines(
  input: AsyncIterable<Uint8Array>,
  { attributes, onRefused, onChecked = () => undefined, signal }: CheckOptions,
): Promise<CheckedLines> {
  const [seen, plan, hash] = [createSeenJobs(), createLinePlan(), createHash('sha256')]
  const models = new Map<string, ModelUse>()
  let [jobs, repeated, refused] = [0, 0, 0]
  let binary: number | undefined
  for await (const line of splitLines(input, MAX_JOB_BYTES)) {
    if (line.number === 1 && isUtf16(line.data)) throw new MisuseError(`the input is ${UTF16}`)
    if (line.number % REPORT_EVERY === 0) {
      signal?.throwIfAborted()
      onChecked(line.number)
    }
    if (isBlank(line)) continue
    const read = readLine(line, attributes)
    const earlier = read.ok ? seen.add(read.job, line.number) : undefined
    if (!read.ok) {
      refused += 1
      if (!isText(line)) binary ??= line.number
      onRefused(line.number, read.problem)
    } else if (read.job.batch !== (attributes['batch'] ?? '')) {
      refused += 1
      onRefused(line.number, 'batch: is another batch than that of the command; give its name with --batch')
    } else if (earlier === undefined) {
      jobs += 1
      plan.send(line)
      hash.update(read.job.payloadHash)
      addUse(models, useOf(read.job))
    } else if (earlier.isSame) repeated += 1
    else {
      refused += 1
      onRefused(line.number, `line ${earlier.line} has the same custom_id and other data`)
    }
  }
  if (jobs === 0 && binary !== undefined) {
    throw new MisuseError(`the input is not JSON Lines: it has no job, and line ${binary} is not UTF-8 text`)
  }
  return { jobs, repeated, refused, models, fingerprint: hash.digest('hex'), plan }
}

type ReadLine = { readonly ok: true; readonly job: Job } | { readonly ok: false; readonly problem: string }

function readLine({ data, byteLength }: Line, attributes: Message['attributes']): ReadLine {
  if (byteLength > MAX_JOB_BYTES) return { ok: false, problem: tooLong(byteLength) }
  const parsed = parseJob(data, attributes, sha256)
  return !parsed.ok && holdsNul(data) ? { ok: false, problem: `the data is ${UTF16}` } : parsed
}

const UTF16 = 'UTF-16 text: save the file as UTF-8'
const UTF16_MARKS = [Buffer.from([0xff, 0xfe]), Buffer.from([0xfe, 0xff])]

/** Recognized by its byte order mark, or by a NUL in its first character. */
function isUtf16(start: Uint8Array): boolean {
  const first = start.subarray(0, 2)
  return UTF16_MARKS.some((mark) => mark.equals(first)) || holdsNul(first)
}

function isText({ data, byteLength }: Line): boolean {
  return byteLength > data.length || (isUtf8(data) && !holdsNul(data))
}

/** JSON text contains no NUL byte. In UTF-16, each ASCII character has one. */
function holdsNul(data: Uint8Array): boolean {
  return data.includes(0)
}

const SPACES = Buffer.from(' \t\v\f\r')

function isBlank({ data, byteLength }: Line): boolean {
  return byteLength === data.length && data.every((byte) => SPACES.includes(byte))
}
