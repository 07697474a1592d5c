import { inflateRawSync } from 'node:zlib'
import { ReadError } from './read-error.ts'

const END_RECORD = 0x06054b50
const ENTRY = 0x02014b50
const LOCAL_ENTRY = 0x04034b50
const END_SIZE = 22
const ENTRY_SIZE = 46
const LOCAL_SIZE = 30
const MAX_COMMENT = 0xffff
const DEFLATED = 8

/**
 * Inflates each part of a zip file once, and throws ReadError if together they have more than `maxBytes`.
 *
 * The sizes that a zip file states may be wrong, and the library that reads the document inflates without a limit.
 */
export function inflateWithin(zip: Buffer, maxBytes: number): void {
  let left = maxBytes
  for (const { method, data, stated } of entriesOf(zip)) {
    left -= Math.max(method === DEFLATED ? inflatedSize(data, left) : data.byteLength, stated)
    if (left < 0) throw tooLarge()
  }
}

function inflatedSize(data: Buffer, most: number): number {
  try {
    return inflateRawSync(data, { maxOutputLength: Math.max(1, most) }).byteLength
  } catch (cause) {
    const isTooLarge = cause instanceof RangeError
    throw isTooLarge ? tooLarge() : new ReadError('it is damaged', { cause })
  }
}

interface Entry {
  readonly method: number
  readonly data: Buffer
  readonly stated: number
}

function* entriesOf(zip: Buffer): Generator<Entry> {
  const end = findEnd(zip)
  const count = zip.readUInt16LE(end + 10)
  let at = zip.readUInt32LE(end + 16)
  for (let n = 0; n < count; n += 1) {
    if (at + ENTRY_SIZE > zip.byteLength || zip.readUInt32LE(at) !== ENTRY) throw new ReadError('it is damaged')
    const compressed = zip.readUInt32LE(at + 20)
    const start = zip.readUInt32LE(at + 42)
    if (start + LOCAL_SIZE > zip.byteLength || zip.readUInt32LE(start) !== LOCAL_ENTRY)
      throw new ReadError('it is damaged')
    const from = start + LOCAL_SIZE + zip.readUInt16LE(start + 26) + zip.readUInt16LE(start + 28)
    yield {
      method: zip.readUInt16LE(at + 10),
      data: zip.subarray(from, from + compressed),
      stated: zip.readUInt32LE(at + 24),
    }
    at += ENTRY_SIZE + zip.readUInt16LE(at + 28) + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32)
  }
}

/** Searches from the end, because a comment of any length may follow the record. */
function findEnd(zip: Buffer): number {
  const first = Math.max(0, zip.byteLength - END_SIZE - MAX_COMMENT)
  for (let at = zip.byteLength - END_SIZE; at >= first; at -= 1) if (zip.readUInt32LE(at) === END_RECORD) return at
  throw new ReadError('it is no DOCX document: an older .doc file must be saved as .docx')
}

function tooLarge(): ReadError {
  return new ReadError('its content is too large when it is unpacked')
}
