import { basename, extname } from 'node:path'

const HASH_DIGITS = 12
const MAX_NAME = 100
/** Of an input that has no name of its own, such as the pattern `*.md`. */
const UNNAMED = 'jobs'

/** Names a batch for its input. The same jobs have the same name, so that what was interrupted goes on. */
export function batchNameFor(input: string, fingerprint: string): string {
  return `${stemOf(input, /[^\w.-]+/g)}-${fingerprint.slice(0, HASH_DIGITS)}`
}

/** The name of an input without its folder and ending, for a file in the working directory. */
export function fileStemOf(input: string): string {
  return stemOf(input, /[^\p{L}\p{N}_. -]+/gu)
}

/** No stem begins with a dash, which would be an option, or with a dot, which would hide it. */
function stemOf(input: string, other: RegExp): string {
  const name = input === '-' ? 'standard input' : basename(input, extname(input))
  const plain = name
    .replaceAll(other, '-')
    .replace(/^[-.]+/, '')
    .slice(0, MAX_NAME)
  return plain || UNNAMED
}
