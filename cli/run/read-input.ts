import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, extname } from 'node:path'
import { MisuseError } from '../exit-codes.ts'
import { plainText } from '../plain-text.ts'
import { batchNameFor } from '../submit/batch-name.ts'
import { type CheckedLines, checkLines } from '../submit/check-lines.ts'

const MAX_PROBLEMS = 20
const LINE_END = Buffer.from('\n')

/** Checked input files. */
export interface RunInput {
  /** The content of all, each ending a line. */
  bytes(): AsyncIterable<Uint8Array>
  /** The name of the first, without its folder and ending. */
  readonly name: string
  /** Made from the content, so that the same input has the same batch. */
  readonly batch: string
  readonly checked: CheckedLines
}

/** Checks every line of the files before anything is sent. Rejects with MisuseError, which lists what is no job. */
export async function readInput(paths: readonly string[], signal: AbortSignal): Promise<RunInput> {
  for (const path of paths) await assertFile(path)
  const problems: string[] = []
  const checked = await checkLines(bytesOf(paths), {
    attributes: {},
    onRefused(line, problem) {
      if (problems.length < MAX_PROBLEMS) problems.push(`  line ${line}: ${plainText(problem)}`)
    },
    signal,
  })
  const { jobs, refused, fingerprint } = checked
  const [first = ''] = paths
  if (refused > 0) {
    const lines = refused === 1 ? '1 line is no job' : `${refused} lines are no jobs`
    throw new MisuseError([`${lines}, and nothing was sent:`, ...problems].join('\n'))
  }
  if (jobs === 0) throw new MisuseError(`${paths.join(', ')}: there is no job in it`)
  const name = basename(first, extname(first))
  return { bytes: () => bytesOf(paths), name, checked, batch: batchNameFor(first, fingerprint) }
}

async function assertFile(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  if (found === undefined) throw new MisuseError(`there is no file ${path}`)
  if (found.isDirectory()) throw new MisuseError(`${path} is a folder, and not a file of jobs`)
  if (!found.isFile()) throw new MisuseError(`${path} is not a file; it could not be read a second time`)
}

async function* bytesOf(paths: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const path of paths) {
    for await (const chunk of createReadStream(path)) yield Buffer.from(chunk)
    yield LINE_END
  }
}
