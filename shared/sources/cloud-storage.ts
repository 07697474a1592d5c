import { createWriteStream } from 'node:fs'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { z } from 'zod'
import { PRIVATE_FILE } from '../lib/private-files.ts'
import { withDeadline } from '../lib/with-deadline.ts'
import { SourceError } from './source-file.ts'

/** An object of a bucket. */
interface StorageObject {
  readonly name: string
  readonly generation: string
}

export interface CloudStorage {
  /** Lists the objects of a bucket whose name begins with the prefix, in the order of their names. Rejects with SourceError. */
  list(bucket: string, prefix: string): AsyncGenerator<StorageObject>
  /** Writes an object to a new local file. Rejects with SourceError. */
  download(bucket: string, object: StorageObject, path: string): Promise<void>
}

export interface CloudStorageOptions {
  /** `https://storage.googleapis.com`, or the address of a stand-in. */
  readonly origin: string
  /** The headers that authorize a request. Rejects if there is no login. */
  readonly authorize: () => Promise<Headers>
  /** Resolves after a time in milliseconds. */
  readonly pause: (ms: number) => Promise<void>
  readonly maxObjectBytes: number
  readonly signal: AbortSignal
}

const LIST_TIMEOUT_MS = 30_000
const DOWNLOAD_TIMEOUT_MS = 300_000
const PAUSES_MS = [500, 2_000, 8_000]
const MAX_LIST_BYTES = 16 * 1024 * 1024
const MAX_PAGES = 10_000

const page = z.object({
  items: z.array(z.object({ name: z.string().max(4_096), generation: z.string().max(32) })).default([]),
  nextPageToken: z.string().max(8_192).optional(),
})

/** Reads buckets through the JSON API. A request that fails on the way, or with 408, 429 or 5xx, is repeated three times. */
export function createCloudStorage(options: CloudStorageOptions): CloudStorage {
  const { origin, maxObjectBytes } = options
  return {
    async *list(bucket, prefix) {
      let token: string | undefined
      for (let pages = 0; pages < MAX_PAGES; pages += 1) {
        const url = new URL(`/storage/v1/b/${encodeURIComponent(bucket)}/o`, origin)
        url.searchParams.set('prefix', prefix)
        url.searchParams.set('fields', 'items(name,generation),nextPageToken')
        if (token !== undefined) url.searchParams.set('pageToken', token)
        const where = `gs://${bucket}/${prefix}`
        const { items, nextPageToken } = await ask(url, { where, timeoutMs: LIST_TIMEOUT_MS }, readPage)
        yield* items.filter(({ name }) => !name.endsWith('/'))
        if (nextPageToken === undefined) return
        token = nextPageToken
      }
      throw new SourceError(`gs://${bucket}/${prefix} has too many objects`)
    },
    async download(bucket, { name, generation }, path) {
      const url = new URL(`/storage/v1/b/${encodeURIComponent(bucket)}/o/${encodeURIComponent(name)}`, origin)
      url.searchParams.set('alt', 'media')
      url.searchParams.set('generation', generation)
      const where = `gs://${bucket}/${name}`
      await ask(url, { where, timeoutMs: DOWNLOAD_TIMEOUT_MS }, async (body, signal) => {
        const file = createWriteStream(path, { mode: PRIVATE_FILE })
        await pipeline(body, bounded(maxObjectBytes, where), file, { signal })
      })
    },
  }

  async function ask<T>(url: URL, about: About, read: (body: Readable, signal: AbortSignal) => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await askOnce(url, about, read)
      } catch (error) {
        options.signal.throwIfAborted()
        const pauseMs = PAUSES_MS[attempt]
        if (error instanceof SourceError) throw error
        if (pauseMs === undefined) throw new SourceError(`${about.where}: ${describe(error)}`, { cause: error })
        await options.pause(pauseMs)
      }
    }
  }

  async function askOnce<T>(
    url: URL,
    { where, timeoutMs }: About,
    read: (body: Readable, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const headers = await options.authorize().catch((cause: unknown) => {
      throw new SourceError('there is no Google login here: run gcloud auth application-default login', { cause })
    })
    return withDeadline(
      timeoutMs,
      async (signal) => {
        const response = await fetch(url, { headers, signal, redirect: 'error' })
        const { status, body } = response
        if (status === 200 && body !== null) return read(Readable.fromWeb(body), signal)
        await body?.cancel()
        if (status === 408 || status === 429 || status >= 500) throw new Error(`Cloud Storage answered ${status}`)
        throw new SourceError(`${where}: ${REFUSALS[status] ?? `Cloud Storage answered ${status}`}`)
      },
      options.signal,
    )
  }
}

interface About {
  readonly where: string
  readonly timeoutMs: number
}

const REFUSALS: Readonly<Record<number, string>> = {
  401: 'Cloud Storage refused the login (401)',
  403: 'this account may not read it (403): it needs roles/storage.objectViewer',
  404: 'there is no such bucket or object (404)',
}

async function readPage(body: Readable): Promise<z.infer<typeof page>> {
  const chunks: Buffer[] = []
  for await (const chunk of body.pipe(bounded(MAX_LIST_BYTES, 'the list of objects'))) chunks.push(Buffer.from(chunk))
  return page.parse(JSON.parse(Buffer.concat(chunks).toString('utf8')))
}

function bounded(maxBytes: number, what: string): Transform {
  let bytes = 0
  return new Transform({
    transform(chunk: Uint8Array, _, done) {
      bytes += chunk.byteLength
      if (bytes > maxBytes) done(new SourceError(`${what} has more than ${maxBytes} bytes`))
      else done(null, chunk)
    },
  })
}

function describe(error: unknown): string {
  if (error instanceof Error && error.message.startsWith('Cloud Storage answered')) return error.message
  return 'Cloud Storage cannot be reached, or gave no usable answer'
}
