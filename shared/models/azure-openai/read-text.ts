import type { Readable } from 'node:stream'

const MARK = Buffer.from('\ufeff')

/** Most answers are shorter. */
const SHORT_BYTES = 64 * 1024

/**
 * Reads a body as UTF-8 text. If it is longer than `maxBytes`, stops reading and resolves with undefined.
 *
 * A byte order mark at the beginning is dropped, because Node's JSON parser does not accept it (RFC 8259, 8.1).
 */
export function readText(body: Readable, maxBytes: number): Promise<string | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>()
  const gathered = gather(maxBytes)
  if (body.destroyed) reject(body.errored ?? new Error('the body ended before it was read'))
  body.on('data', (chunk: Uint8Array) => {
    if (gathered.add(chunk)) return
    resolve(undefined)
    body.destroy()
  })
  body.once('end', () => resolve(gathered.text()))
  body.once('error', reject)
  body.once('close', () => reject(new Error('the body is not complete')))
  return promise
}

/**
 * A long answer may take a large part of the memory. So its bytes are collected in one buffer that grows in place and is
 * freed at once. Response.text() was measured to hold them three times. For a short answer, that buffer would cost more than
 * the rest of the reading.
 */
function gather(maxBytes: number) {
  let chunks: Uint8Array[] = []
  let length = 0
  let long: ArrayBuffer | undefined

  function addLong(chunk: Uint8Array): void {
    long ??= new ArrayBuffer(0, { maxByteLength: maxBytes })
    const at = long.byteLength
    long.resize(at + chunk.byteLength)
    new Uint8Array(long, at).set(chunk)
  }

  return {
    /** Returns false if the body is too long. */
    add(chunk: Uint8Array): boolean {
      length += chunk.byteLength
      if (length > maxBytes) return false
      chunks.push(chunk)
      if (length <= SHORT_BYTES) return true
      for (const each of chunks) addLong(each)
      chunks = []
      return true
    },
    text(): string {
      if (long === undefined)
        return decode(chunks[0] !== undefined && chunks.length === 1 ? chunks[0] : Buffer.concat(chunks))
      const text = decode(new Uint8Array(long))
      long.resize(0)
      return text
    },
  }
}

function decode(bytes: Uint8Array): string {
  const from = Buffer.compare(bytes.subarray(0, MARK.length), MARK) === 0 ? MARK.length : 0
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, bytes.byteLength - from).toString()
}
