import { costOfRecord, type Prices } from '../../shared/job/price.ts'
import { parseJson } from '../../shared/lib/parse-json.ts'
import { textOf } from '../../shared/models/job-answer.ts'
import { batchOutputLine, errorLine } from './batch-output.ts'
import { partOf } from './document-parts.ts'
import type { HeldDocument } from './held-parts.ts'
import type { Result } from './read-results.ts'

/** Writes a result in pieces, because an answer may be large. Without prices, it writes no cost. */
export type WriteResult = (result: Result, prices?: Prices) => Iterable<string>

export interface Format {
  readonly header: string
  readonly write: WriteResult
}

/** The columns of a CSV file. */
const COLUMNS = [
  'id',
  'status',
  'text',
  'finish_reason',
  'model',
  'prompt_tokens',
  'completion_tokens',
  'cost_usd',
  'error',
  'message',
  'document',
  'part',
]

/** The values of `--format`. */
export const formats = {
  /** OpenAI's Batch output format: https://platform.openai.com/docs/guides/batch */
  jsonl: { header: '', write: writeLine },
  /** RFC 4180, with a header line. */
  csv: { header: `${COLUMNS.join(',')}\r\n`, write: writeRow },
  text: { header: '', write: writeText },
} as const satisfies Readonly<Record<string, Format>>

export type FormatName = keyof typeof formats

const TORN = ['corrupt', 'the stored answer cannot be read'] as const

function* writeLine(result: Result): Generator<string> {
  if (result.kind === 'torn') yield errorLine(result.record, ...TORN)
  else yield* batchOutputLine(result.record, result.kind === 'answer' ? result.answer : undefined)
}

function* writeRow(result: Result, prices: Prices = new Map()): Generator<string> {
  const { record } = result
  const { id, status, model = '' } = record
  const { promptTokens, completionTokens } =
    record.status === 'succeeded' ? record.usage : { promptTokens: '', completionTokens: '' }
  const finishReason = record.status === 'succeeded' ? record.finishReason : ''
  const [kind, message] = errorOf(result)
  const isLinked = record.status === 'succeeded' && record.linkedFrom !== undefined
  const cost = isLinked ? 0 : (costOfRecord(prices, record)?.usd ?? '')
  const tokens = [promptTokens, completionTokens, cost]
  const cells = [id, status, textIn(result) ?? '', finishReason, model, ...tokens, kind, message, ...placeOf(record)]
  yield `${cells.map(toCell).join(',')}\r\n`
}

/** The document and the part that a job was made of. */
function placeOf(record: Result['record']): readonly [document: string, part: string] {
  const part = partOf(record)
  return part === undefined ? [record.metadata['document'] ?? '', ''] : [part.document, `${part.n}/${part.of}`]
}

/** The text after a line with the id. */
function* writeText(result: Result): Generator<string> {
  yield `== ${result.record.id} ==\n${shownText(result)}\n\n`
}

/** The parts of a document after a line with its name. */
export function* documentText({ document, texts }: HeldDocument): Generator<string> {
  yield `== ${document} ==\n`
  yield* texts()
}

/** The text of an answer, or in brackets why there is none. */
export function shownText(result: Result): string {
  const [kind, message] = errorOf(result)
  return textIn(result) ?? (kind === '' ? '(the answer has no text)' : `(${kind}: ${message})`)
}

/** The answer in plain text. Undefined if there is none. */
export function textIn(result: Result): string | undefined {
  return result.kind === 'answer' ? textOf(result.record.url, parseJson(result.answer)) : undefined
}

function errorOf({ kind, record }: Result): readonly [kind: string, message: string] {
  if (kind === 'torn') return TORN
  return 'error' in record ? [record.error.kind, record.error.message] : ['', '']
}

/** Spreadsheets run a cell that begins like this as a formula: https://owasp.org/www-community/attacks/CSV_Injection */
const FORMULA = /^[=+\-@\t\r]/

function toCell(value: string | number): string {
  if (typeof value === 'number') return String(value)
  const text = FORMULA.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
