import { createHash } from 'node:crypto'
import type { StoredResult } from '../job/record.ts'
import { StoreError } from './job-store.ts'

/** The most that fits into one document beside the record's other fields. */
export const MAX_RESULT_BYTES = 900 * 1024

/** Cuts a text into parts of at most 900 KiB of UTF-8, never through a character. */
export function cutIntoParts(text: string): string[] {
  const bytes = Buffer.from(text)
  const parts: string[] = []
  for (let start = 0; start < bytes.length; ) {
    const end = characterStart(bytes, Math.min(start + MAX_RESULT_BYTES, bytes.length))
    parts.push(bytes.toString('utf8', start, end))
    start = end
  }
  return parts
}

export function fitsIntoRecord(text: string): boolean {
  return Buffer.byteLength(text) <= MAX_RESULT_BYTES
}

/** Names the parts of one owner so that nobody else's, and no torn set of them, is ever taken for the result. */
export function describeParts(owner: string, text: string, count: number): StoredResult {
  return { in: 'parts', owner, count, sha256: sha256Hex(text) }
}

/** Puts a result together. Throws StoreError `corrupt` where the parts are not what the record says. */
export function joinParts(result: Extract<StoredResult, { in: 'parts' }>, parts: readonly string[]): string {
  const text = parts.join('')
  if (parts.length !== result.count || sha256Hex(text) !== result.sha256) {
    throw new StoreError('corrupt', `the result's ${result.count} parts are not whole: ${parts.length} were found`)
  }
  return text
}

function sha256Hex(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function characterStart(bytes: Buffer, at: number): number {
  let start = at
  while (start < bytes.length && isContinuation(bytes[start])) start -= 1
  return start
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80
}
