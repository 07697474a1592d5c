import { createReadStream, createWriteStream } from 'node:fs'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { PRIVATE_FILE } from '../../shared/lib/private-files.ts'
import { MisuseError } from '../exit-codes.ts'

/** Of what has no name of its own, such as the pipe of `<(…)`. */
const PIPE = 'piped input'

/** An input that can be read from its start more than once. */
export interface Input extends AsyncDisposable {
  bytes(): AsyncIterable<Uint8Array>
  /** Its name for people. */
  readonly name: string
}

/**
 * Opens a file, or what standard input holds if its name is `-`.
 *
 * Standard input and pipes are kept in a file that only its owner can read, and that is deleted at the end. Rejects with MisuseError
 * for a file that cannot be read.
 */
export async function openInput(file: string, signal: AbortSignal): Promise<Input> {
  if (file === '-') return spool(process.stdin, 'standard input', signal)
  const handle = await open(file).catch((error: unknown) => {
    throw new MisuseError(sayWhy(error, file))
  })
  const stat = await handle.stat()
  if (stat.isDirectory()) {
    await handle.close()
    throw new MisuseError(`${file} is a folder, and not a file of jobs; --template summarize makes jobs of documents`)
  }
  if (!stat.isFile()) return spool(handle.createReadStream(), PIPE, signal)
  return {
    name: file,
    bytes: () => handle.createReadStream({ autoClose: false, start: 0 }),
    [Symbol.asyncDispose]: () => handle.close(),
  }
}

async function spool(stream: NodeJS.ReadableStream, name: string, signal: AbortSignal): Promise<Input> {
  const folder = await mkdtemp(join(tmpdir(), 'promptbridge-'))
  const dispose = () => rm(folder, { recursive: true, force: true })
  const path = join(folder, 'input')
  try {
    await pipeline(stream, createWriteStream(path, { mode: PRIVATE_FILE }), { signal })
  } catch (error) {
    await dispose()
    throw error
  }
  return { name, bytes: () => createReadStream(path), [Symbol.asyncDispose]: dispose }
}

function sayWhy(error: unknown, file: string): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT') return `there is no file ${file}`
  return code === 'EACCES' ? `${file} may not be read` : `${file} cannot be read`
}
