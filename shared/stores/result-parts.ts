import { createHash } from 'node:crypto'
import type { StoredResult } from '../job/record.ts'
import { StoreError } from './job-store.ts'

/** The largest text that fits into one document together with the record's other fields. */
export const MAX_RESULT_BYTES = 900 * 1024

/** The most bytes of UTF-8 that a UTF-16 code unit needs. */
const MAX_UNIT_BYTES = 3

/**
 * Splits a text into parts of at most 900 KiB of UTF-8. It never splits a character.
 *
 * Yields one part at a time, because a second copy of a long text could exceed the memory.
 */
export function* cutIntoParts(text: string): Generator<string> {
  // Most answers are short, and need no buffer.
  if (text.length * MAX_UNIT_BYTES <= MAX_RESULT_BYTES) {
    if (text !== '') yield text
    return
  }
  const encoder = new TextEncoder()
  const part = new Uint8Array(Math.min(MAX_RESULT_BYTES, text.length * MAX_UNIT_BYTES))
  for (let start = 0; start < text.length; ) {
    const { read } = encoder.encodeInto(text.slice(start, start + MAX_RESULT_BYTES), part)
    yield text.slice(start, start + read)
    start += read
  }
}

export function fitsIntoRecord(text: string): boolean {
  return Buffer.byteLength(text) <= MAX_RESULT_BYTES
}

/** Describes the parts of one owner, so that a reader rejects parts of another owner and incomplete sets. */
export function describeParts(owner: string, text: string, count: number): StoredResult {
  return { in: 'parts', owner, count, sha256: sha256Hex(text) }
}

/** Joins the parts of a result. Rejects with StoreError `corrupt` if they do not match the record. */
export async function joinParts(
  result: Extract<StoredResult, { in: 'parts' }>,
  parts: AsyncIterable<string> | Iterable<string>,
): Promise<string> {
  const hash = createHash('sha256')
  let [text, count] = ['', 0]
  for await (const part of parts) {
    hash.update(part)
    text += part
    count += 1
  }
  if (count !== result.count || hash.digest('hex') !== result.sha256) {
    throw new StoreError('corrupt', `the result's ${result.count} parts are not whole: ${count} were found`)
  }
  return text
}

function sha256Hex(text: string): string {
  const hash = createHash('sha256')
  for (const part of cutIntoParts(text)) hash.update(part)
  return hash.digest('hex')
}
