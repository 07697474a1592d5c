import { createReadStream } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { z } from 'zod'
import { splitLines } from '../lib/split-lines.ts'
import { decodeText } from './reader/decode-text.ts'
import { ReadError } from './reader/read-error.ts'

/** A row of a table, or an object of a JSON Lines file. */
export type Row =
  | { readonly ok: true; readonly number: number; readonly values: ReadonlyMap<string, string> }
  | { readonly ok: false; readonly number: number; readonly problem: string }

/** The longest row, in bytes. */
const MAX_ROW = 4 * 1024 * 1024
const MAX_JSON = 50 * 1024 * 1024
const MAX_COLUMNS = 1_000
const MAX_DEPTH = 10

/**
 * Reads the rows of a table with a header. `number`: of the row, from 1 for the first one after the header.
 *
 * The delimiter is the comma, semicolon or tab that is in the header most often. Rejects with ReadError where the table
 * cannot be read further.
 */
export async function* readCsv(path: string): AsyncGenerator<Row> {
  const { parse } = await import('csv-parse')
  const delimiter = await delimiterOf(path)
  const parser = parse({ delimiter, bom: true, columns: checkHeader, skip_empty_lines: true, max_record_size: MAX_ROW })
  const decoded = Readable.fromWeb(
    Readable.toWeb(createReadStream(path)).pipeThrough(new TextDecoderStream('utf-8', { fatal: true })),
  )
  decoded.on('error', (cause) => parser.destroy(new ReadError('it is not text: save it as UTF-8', { cause })))
  let number = 0
  try {
    for await (const row of decoded.pipe(parser)) {
      number += 1
      yield { ok: true, number, values: new Map(Object.entries(row).map(([name, value]) => [name, String(value)])) }
    }
  } catch (error) {
    throw error instanceof ReadError ? error : new ReadError(sayCsv(error), { cause: error })
  } finally {
    decoded.destroy()
  }
}

function checkHeader(names: readonly string[]): string[] {
  const trimmed = names.map((name) => name.trim())
  if (trimmed.length > MAX_COLUMNS) throw new ReadError(`it has more than ${MAX_COLUMNS} columns`)
  if (trimmed.includes('')) throw new ReadError('its first line must name every column')
  const twice = trimmed.find((name, at) => trimmed.indexOf(name) < at)
  if (twice !== undefined) throw new ReadError('its first line names a column twice')
  return trimmed
}

const HEADER_BYTES = 64 * 1024

async function delimiterOf(path: string): Promise<string> {
  let header = ''
  for await (const chunk of createReadStream(path, { end: HEADER_BYTES }))
    header += Buffer.from(chunk).toString('latin1')
  const [line = ''] = header.replaceAll(/"[^"]*"/g, '').split('\n')
  const counts = [',', ';', '\t'].map((delimiter) => ({ delimiter, count: line.split(delimiter).length }))
  return counts.reduce((best, each) => (each.count > best.count ? each : best)).delimiter
}

const CSV_PROBLEMS: Readonly<Record<string, string>> = {
  CSV_RECORD_INCONSISTENT_COLUMNS: 'has another number of columns than the first line',
  CSV_QUOTE_NOT_CLOSED: 'begins a quoted value that does not end',
  CSV_MAX_RECORD_SIZE: `has more than ${MAX_ROW} characters`,
  CSV_INVALID_CLOSING_QUOTE: 'has text after a quoted value',
  INVALID_OPENING_QUOTE: 'has a quote within a value that is not quoted',
}

const csvError = z.object({ code: z.string(), lines: z.number() })

/** The messages of the library quote values. */
function sayCsv(error: unknown): string {
  const { data } = csvError.safeParse(error)
  return data === undefined ? 'it is not CSV' : `line ${data.lines} ${CSV_PROBLEMS[data.code] ?? 'is not CSV'}`
}

/** Reads an object from each line. `number`: of the line. */
export async function* readJsonLines(path: string): AsyncGenerator<Row> {
  for await (const { number, data, byteLength } of splitLines(createReadStream(path), MAX_ROW)) {
    if (byteLength > MAX_ROW) yield { ok: false, number, problem: `the line has more than ${MAX_ROW} bytes` }
    else if (data.some((byte) => byte > 0x20)) yield readRow(number, data)
  }
}

function readRow(number: number, data: Uint8Array): Row {
  try {
    return rowOf(number, JSON.parse(decodeText(data)))
  } catch (error) {
    return { ok: false, number, problem: error instanceof ReadError ? error.message : 'the line is not JSON' }
  }
}

/** Reads one object, or a list of objects. */
export async function* readJson(path: string): AsyncGenerator<Row> {
  if ((await stat(path)).size > MAX_JSON) throw new ReadError(`it has more than ${MAX_JSON} bytes`)
  const text = decodeText(await readFile(path))
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new ReadError('it is not JSON', { cause })
  }
  const rows: readonly unknown[] = Array.isArray(value) ? value : [value]
  yield* rows.map((row, at) => rowOf(at + 1, row))
}

function rowOf(number: number, value: unknown): Row {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { ok: false, number, problem: 'it is no JSON object' }
  const values = new Map<string, string>()
  addValues(values, '', value, 1)
  if (values.size > MAX_COLUMNS) return { ok: false, number, problem: `it has more than ${MAX_COLUMNS} fields` }
  return { ok: true, number, values }
}

/** The field `total` of a field `order` is the variable `order.total`; `order` is its JSON. */
function addValues(values: Map<string, string>, prefix: string, fields: object, depth: number): void {
  for (const [name, value] of Object.entries(fields)) {
    if (values.size > MAX_COLUMNS) return
    values.set(`${prefix}${name}`, typeof value === 'string' ? value : JSON.stringify(value))
    if (typeof value === 'object' && value !== null && !Array.isArray(value) && depth < MAX_DEPTH) {
      addValues(values, `${prefix}${name}.`, value, depth + 1)
    }
  }
}
