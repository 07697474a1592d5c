import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, extname } from 'node:path'
import { parseJob } from '../../shared/job/parse-job.ts'
import { sha256 } from '../../shared/lib/sha256.ts'
import type { JobQueue, Message } from '../../shared/queues/job-queue.ts'
import { MisuseError } from '../exit-codes.ts'
import { plainText } from '../plain-text.ts'
import { publishLines } from '../publish-lines.ts'

const MAX_PROBLEMS = 20
const HASH_DIGITS = 12
const LINE_END = Buffer.from('\n')

/** Checked input files. */
export interface RunInput {
  /** The content of all, each ending a line. */
  bytes(): AsyncIterable<Uint8Array>
  /** The name of the first, without its folder and ending. */
  readonly name: string
  /** Made from the content, so that the same input has the same batch. */
  readonly batch: string
  /** The models that its jobs name, each with the url of one of them. */
  readonly models: ReadonlyMap<string, string>
}

/** Checks every line of the files before anything is sent. Rejects with MisuseError, which lists what is no job. */
export async function readInput(paths: readonly string[]): Promise<RunInput> {
  for (const path of paths) await assertFile(path)
  const hash = createHash('sha256')
  const problems: string[] = []
  const models = new Map<string, string>()
  const { published, refused } = await publishLines(hashed(bytesOf(paths), hash), {
    queue: { ...NOWHERE, publishAll: async (_, messages) => messages.map((message) => noteModel(message, models)) },
    ...{ topic: '', batch: 'checked', beforeFirst: async () => undefined, onPublished: () => undefined },
    onRefused(line, problem) {
      if (problems.length < MAX_PROBLEMS) problems.push(`  line ${line}: ${plainText(problem)}`)
    },
  })
  const [first = ''] = paths
  if (refused > 0) {
    const lines = refused === 1 ? '1 line is no job' : `${refused} lines are no jobs`
    throw new MisuseError([`${lines}, and nothing was sent:`, ...problems].join('\n'))
  }
  if (published === 0) throw new MisuseError(`${paths.join(', ')}: there is no job in it`)
  const name = basename(first, extname(first))
  return { bytes: () => bytesOf(paths), name, models, batch: `${name}-${hash.digest('hex').slice(0, HASH_DIGITS)}` }
}

function noteModel({ data, attributes }: Message, models: Map<string, string>): string {
  const parsed = parseJob(data, attributes, sha256)
  if (parsed.ok && parsed.job.model !== undefined) models.set(parsed.job.model, parsed.job.url)
  return ''
}

/** Takes what is published to it, and keeps nothing. */
const NOWHERE: JobQueue = { publish: async () => '', publishAll: async () => [], close: async () => undefined }

async function assertFile(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  if (found === undefined) throw new MisuseError(`there is no file ${path}`)
  if (found.isDirectory()) throw new MisuseError(`${path} is a folder, and not a file of jobs`)
}

async function* bytesOf(paths: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const path of paths) {
    for await (const chunk of createReadStream(path)) yield Buffer.from(chunk)
    yield LINE_END
  }
}

async function* hashed(bytes: AsyncIterable<Uint8Array>, hash: ReturnType<typeof createHash>) {
  for await (const chunk of bytes) {
    hash.update(chunk)
    yield chunk
  }
}
