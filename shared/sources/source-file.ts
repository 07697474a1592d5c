import { extname } from 'node:path'

/** How a file is read. text, html, pdf and docx are one document; csv, jsonl and json hold rows. */
export type Kind = 'text' | 'html' | 'pdf' | 'docx' | 'csv' | 'jsonl' | 'json'

/** A file that documents or rows are read from. */
export interface SourceFile {
  /** Its path or address, as the user gave it. */
  readonly name: string
  readonly kind: Kind
  /** Makes its content available in a local file. Rejects with SourceError. */
  open(): Promise<LocalCopy>
}

/** A local file that is there until this is disposed. */
interface LocalCopy extends AsyncDisposable {
  readonly path: string
}

/** What one of the inputs holds: a file, or the name of one that is not read. */
export type Found =
  | { readonly kind: 'file'; readonly file: SourceFile }
  | { readonly kind: 'skipped'; readonly name: string; readonly why: string }

/** A file, a folder or an address that cannot be read. The message says what is wrong; it quotes no content. */
export class SourceError extends Error {
  override readonly name = 'SourceError'
}

const KINDS: ReadonlyMap<string, Kind> = new Map([
  ['.txt', 'text'],
  ['.text', 'text'],
  ['.md', 'text'],
  ['.markdown', 'text'],
  ['.html', 'html'],
  ['.htm', 'html'],
  ['.pdf', 'pdf'],
  ['.docx', 'docx'],
  ['.csv', 'csv'],
  ['.jsonl', 'jsonl'],
  ['.ndjson', 'jsonl'],
  ['.json', 'json'],
])

/** The kind of a file by the ending of its name. Undefined if it is not read. */
export function kindOf(name: string): Kind | undefined {
  return KINDS.get(extname(name).toLowerCase())
}

const READABLE = '.txt, .md, .html, .pdf, .docx, .csv, .jsonl and .json'

/** What a file or object of this name gives. */
export function foundByName(name: string, open: SourceFile['open']): Found {
  const kind = kindOf(name)
  return kind === undefined
    ? { kind: 'skipped', name, why: `only ${READABLE} are read` }
    : { kind: 'file', file: { name, kind, open } }
}

/** A file that was there before, and stays. */
export function localFile(path: string): SourceFile['open'] {
  return async () => ({ path, [Symbol.asyncDispose]: async () => undefined })
}
