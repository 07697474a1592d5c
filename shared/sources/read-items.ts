import { readFile, stat } from 'node:fs/promises'
import type { DocumentReader } from './document-reader.ts'
import { MAX_FILE } from './find-sources.ts'
import { decodeText } from './reader/decode-text.ts'
import { MAX_TEXT } from './reader/read-document.ts'
import { ReadError } from './reader/read-error.ts'
import { readCsv, readJson, readJsonLines } from './rows.ts'
import { SourceError, type SourceFile } from './source-file.ts'

/** What one prompt is made of: a document or a row. */
export type Item = {
  /** The name of its file. */
  readonly source: string
  /** Undefined for a whole document. */
  readonly row: number | undefined
} & (
  | { readonly ok: true; readonly values: ReadonlyMap<string, string> }
  | { readonly ok: false; readonly problem: string }
)

/**
 * Reads what a file holds. A document has the values `text` and `name`, and a row those of its columns as well.
 *
 * What cannot be read is an item with a problem.
 */
export async function* readItems(file: SourceFile, reader: DocumentReader): AsyncGenerator<Item> {
  const { name: source, kind } = file
  try {
    await using copy = await file.open()
    const { size } = await stat(copy.path)
    if (size === 0) throw new ReadError('the file is empty')
    if (kind === 'csv' || kind === 'jsonl' || kind === 'json') yield* readRows(source, kind, copy.path)
    else {
      if (size > MAX_FILE) throw new ReadError(`it has ${size} bytes; at most ${MAX_FILE} are read`)
      const text = kind === 'text' ? await readText(copy.path) : await reader.read(copy.path, kind)
      yield { ok: true, source, row: undefined, values: new Map(Object.entries({ name: source, text })) }
    }
  } catch (error) {
    yield { ok: false, source, row: undefined, problem: describe(error) }
  }
}

const ROWS = { csv: readCsv, jsonl: readJsonLines, json: readJson } as const

async function* readRows(source: string, kind: keyof typeof ROWS, path: string): AsyncGenerator<Item> {
  let count = 0
  for await (const row of ROWS[kind](path)) {
    count += 1
    if (!row.ok) yield { ok: false, source, row: row.number, problem: row.problem }
    else yield { ok: true, source, row: row.number, values: withText(source, row.number, row.values) }
  }
  if (count === 0) throw new ReadError('it has no rows')
}

/** A column of the same name comes first. */
function withText(source: string, number: number, values: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const text = [...values].map(([name, value]) => `${name}: ${value}`).join('\n')
  return new Map([['text', text], ['name', `${source}#${number}`], ...values])
}

async function readText(path: string): Promise<string> {
  const text = decodeText(await readFile(path))
  if (text.length > MAX_TEXT) throw new ReadError(`it has more than ${MAX_TEXT} characters`)
  if (text.trim() === '') throw new ReadError('it holds no text')
  return text
}

function describe(error: unknown): string {
  if (error instanceof ReadError || error instanceof SourceError) return error.message
  const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : ''
  return `it cannot be read${code}`
}
