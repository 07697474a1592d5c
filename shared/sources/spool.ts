import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { PRIVATE_FILE } from '../lib/private-files.ts'

/** Writes a stream to a new file that only its owner can read. */
export async function spool(stream: NodeJS.ReadableStream, path: string, signal: AbortSignal): Promise<void> {
  await pipeline(stream, createWriteStream(path, { mode: PRIVATE_FILE }), { signal })
}
