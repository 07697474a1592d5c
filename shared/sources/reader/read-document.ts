import { readFile } from 'node:fs/promises'
import { decodeText } from './decode-text.ts'
import { inflateWithin } from './inflate-within.ts'
import { ReadError } from './read-error.ts'

/** The kinds that a library reads. */
export type BinaryKind = 'pdf' | 'docx' | 'html'

/** The longest text of a document, in characters. */
export const MAX_TEXT = 50_000_000

/** Takes the text out of a document. Each library is loaded when it is needed. Rejects with ReadError, or as the library does. */
export async function readDocument(path: string, kind: BinaryKind): Promise<string> {
  const bytes = await readFile(path)
  if (bytes.byteLength === 0) throw new ReadError('the file is empty')
  const text = tidy(await READERS[kind](bytes))
  if (text === '') throw new ReadError(EMPTY[kind])
  return text
}

const READERS = { pdf: readPdf, docx: readDocx, html: readHtml } as const
const EMPTY = {
  pdf: 'it holds no text: it may be scanned, and needs text recognition (OCR) first',
  docx: 'it holds no text',
  html: 'it holds no text',
} as const

async function readPdf(bytes: Buffer): Promise<string> {
  const { getDocumentProxy } = await import('unpdf')
  const pdf = await getDocumentProxy(new Uint8Array(bytes), { verbosity: 0 }).catch((cause: unknown) => {
    const isLocked = cause instanceof Error && cause.name === 'PasswordException'
    throw new ReadError(isLocked ? 'it is encrypted, and needs a password' : 'it is no PDF that can be read', { cause })
  })
  const pages: string[] = []
  let length = 0
  for (let number = 1; number <= pdf.numPages; number += 1) {
    const page = await pdf.getPage(number)
    const { items } = await page.getTextContent()
    const text = items.map((item) => ('str' in item ? `${item.str}${item.hasEOL ? '\n' : ''}` : '')).join('')
    page.cleanup()
    length += text.length
    if (length > MAX_TEXT) throw tooLong()
    pages.push(text)
  }
  return pages.join('\n\n')
}

async function readDocx(bytes: Buffer): Promise<string> {
  inflateWithin(bytes, MAX_TEXT)
  const mammoth = await import('mammoth')
  const { value } = await mammoth.default.extractRawText({ buffer: bytes }).catch((cause: unknown) => {
    throw new ReadError('it is no DOCX document that can be read', { cause })
  })
  return value
}

async function readHtml(bytes: Buffer): Promise<string> {
  const { convert } = await import('html-to-text')
  return convert(decodeText(bytes, charsetOf(bytes)), {
    wordwrap: false,
    limits: { maxInputLength: MAX_TEXT },
    selectors: [
      { selector: 'a', options: { ignoreHref: true } },
      { selector: 'img', format: 'skip' },
      { selector: 'table', format: 'dataTable', options: { uppercaseHeaderCells: false } },
      ...['h1', 'h2', 'h3', 'h4', 'h5', 'h6'].map((selector) => ({ selector, options: { uppercase: false } })),
    ],
  })
}

const HEAD_BYTES = 1_024

/** What a page says about itself near its start. */
function charsetOf(bytes: Buffer): string | undefined {
  return /<meta[^>]+charset=["']?([\w-]{1,40})/i.exec(bytes.subarray(0, HEAD_BYTES).toString('latin1'))?.[1]
}

function tidy(text: string): string {
  if (text.length > MAX_TEXT) throw tooLong()
  return text
    .replaceAll(/[ \t]+\n/g, '\n')
    .replaceAll(/\n{3,}/g, '\n\n')
    .trim()
}

function tooLong(): ReadError {
  return new ReadError(`it holds more than ${MAX_TEXT} characters of text`)
}
