import { ReadError } from './read-error.ts'

/** Reads text: UTF-16 with a byte order mark, the named charset, or UTF-8. Throws ReadError if the bytes are something else. */
export function decodeText(bytes: Uint8Array, charset = 'utf-8'): string {
  const marked =
    bytes[0] === 0xff && bytes[1] === 0xfe
      ? 'utf-16le'
      : bytes[0] === 0xfe && bytes[1] === 0xff
        ? 'utf-16be'
        : undefined
  let text: string
  try {
    text = new TextDecoder(marked ?? charset, { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new ReadError('it is not text: save it as UTF-8', { cause })
  }
  if (text.includes('\0')) throw new ReadError('it is not text: it holds NUL characters')
  return text
}
