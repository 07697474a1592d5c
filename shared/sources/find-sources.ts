import { randomUUID } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { findCredentials } from '../lib/google-credentials.ts'
import { type CloudStorage, createCloudStorage } from './cloud-storage.ts'
import { findLocalFiles } from './local-files.ts'
import { type Found, foundByName, type Kind, localFile, SourceError } from './source-file.ts'
import { spool } from './spool.ts'

export interface FindOptions {
  /** A folder for temporary copies that only its owner can enter. The caller deletes it. */
  readonly folder: string
  readonly input: NodeJS.ReadableStream
  /** The address of a stand-in for Cloud Storage, which needs no login. */
  readonly storageEmulator: string | undefined
  readonly signal: AbortSignal
}

/** The largest file that is read, in bytes. */
export const MAX_FILE = 100 * 1024 * 1024
const ADDRESS = /^gs:\/\/([^/]+)\/?(.*)$/s

/** Finds what an input names: a file, a folder, a pattern, `gs://BUCKET/PREFIX`, or `-` for standard input. Rejects with SourceError. */
export async function* findSources(input: string, options: FindOptions): AsyncGenerator<Found> {
  const [, bucket, prefix = ''] = ADDRESS.exec(input) ?? []
  if (input === '-') yield await standardInput(options)
  else if (bucket !== undefined) yield* objects(bucket, prefix, options)
  else yield* findLocalFiles(input)
}

async function standardInput({ folder, input, signal }: FindOptions): Promise<Found> {
  const path = join(folder, 'standard-input')
  await spool(input, path, signal)
  const kind = await guessKind(path)
  return { kind: 'file', file: { name: 'standard input', kind, open: localFile(path) } }
}

const START_BYTES = 1_024

/** Standard input has no name that says what it is. */
async function guessKind(path: string): Promise<Kind> {
  await using file = await open(path)
  const { buffer, bytesRead } = await file.read(Buffer.alloc(START_BYTES), 0, START_BYTES, 0)
  const start = buffer.subarray(0, bytesRead).toString('latin1').trimStart()
  if (start.startsWith('%PDF-')) return 'pdf'
  if (start.startsWith('PK\x03\x04')) return 'docx'
  if (/^<(?:!doctype html|html)/i.test(start)) return 'html'
  // Only one line of JSON Lines is an object by itself.
  if (/^\{.*\}\s*\n\s*\{/.test(start)) return 'jsonl'
  return /^\{\s*["}]/.test(start) ? 'json' : 'text'
}

async function* objects(bucket: string, prefix: string, options: FindOptions): AsyncGenerator<Found> {
  const storage = openStorage(options)
  let count = 0
  for await (const object of storage.list(bucket, prefix)) {
    count += 1
    yield foundByName(`gs://${bucket}/${object.name}`, async () => {
      const path = join(options.folder, randomUUID())
      await storage.download(bucket, object, path)
      return { path, [Symbol.asyncDispose]: () => rm(path, { force: true }) }
    })
  }
  if (count === 0) throw new SourceError(`gs://${bucket}/${prefix} has no objects`)
}

function openStorage({ storageEmulator, signal }: FindOptions): CloudStorage {
  return createCloudStorage({
    origin: storageEmulator === undefined ? 'https://storage.googleapis.com' : addressOf(storageEmulator),
    authorize: storageEmulator === undefined ? authorize() : async () => new Headers(),
    pause: (ms) => pause(ms, undefined, { signal }),
    maxObjectBytes: MAX_FILE,
    signal,
  })
}

/** The settings of Google's emulators name a host and a port, with or without a scheme. */
function addressOf(emulator: string): string {
  return /^https?:/.test(emulator) ? emulator : `http://${emulator}`
}

function authorize(): () => Promise<Headers> {
  let found: ReturnType<typeof findCredentials> | undefined
  return async () => {
    found ??= findCredentials()
    return (await found).getRequestHeaders()
  }
}
