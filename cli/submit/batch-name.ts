import { basename, extname } from 'node:path'

const HASH_DIGITS = 12
const MAX_NAME = 100

/** Names a batch for its input. The same jobs have the same name, so that what was interrupted goes on. */
export function batchNameFor(input: string, fingerprint: string): string {
  const stem = basename(input, extname(input))
    .replaceAll(/[^\w.-]+/g, '-')
    .slice(0, MAX_NAME)
  return `${stem}-${fingerprint.slice(0, HASH_DIGITS)}`
}
