import { contextWindow } from '../../shared/job/context-window.ts'
import { estimateTokens, type Job } from '../../shared/job/job.ts'
import { outputTokenCap } from '../../shared/job/output-cap.ts'
import { parseJob } from '../../shared/job/parse-job.ts'
import { renderTemplate, type Template } from '../../shared/job/template.ts'
import { sha256 } from '../../shared/lib/sha256.ts'
import type { Item } from '../../shared/sources/read-items.ts'
import { splitText } from '../../shared/sources/split-text.ts'
import { number } from '../batches/describe-progress.ts'

export interface LineOptions {
  readonly template: Template
  readonly model: string | undefined
  readonly metadata: Readonly<Record<string, string>>
  /** Whether a document that the model cannot read at once becomes several jobs. */
  readonly split: boolean
}

/** A job as a line of an OpenAI Batch file, or why there is none. */
export type MadeLine =
  | { readonly ok: true; readonly line: string; readonly body: Job['body'] }
  | { readonly ok: false; readonly document: string; readonly problem: string }

/** Of a deployment whose model is not known, if documents are split. */
const USUAL_WINDOW = 128_000
/** Estimates are wrong by so much, in text that is not English prose. */
const SPLIT_SHARE = 0.6
const CHARACTERS_PER_TOKEN = 4
/** A job has at most 4 MiB, and a character at most three bytes in UTF-8. */
const MAX_PART = 1_000_000

/** Makes the jobs of a document or row: one, or with `split` one for each part. */
export function* makeLines(item: Item, options: LineOptions): Generator<MadeLine> {
  const place = item.row === undefined ? item.source : `${item.source}#${item.row}`
  if (!item.ok) {
    yield { ok: false, document: place, problem: item.problem }
    return
  }
  const { template, model = template.model, split } = options
  const whole = makeLine(item, place, {}, options)
  const text = item.values.get('text')
  if (!whole.isTooLong || !split || text === undefined || item.row !== undefined) {
    yield whole.made
    return
  }
  const parts = splitText(text, longestPart(template, model))
  for (const [at, part] of parts.entries()) {
    const marks = { part: `${at + 1}/${parts.length}` }
    const values = new Map([...item.values, ['text', part]])
    yield makeLine({ ...item, values }, `${place}#${marks.part}`, marks, options).made
  }
}

type ReadItem = Extract<Item, { ok: true }>

function makeLine(
  { source, row, values }: ReadItem,
  place: string,
  marks: Readonly<Record<string, string>>,
  { template, model, metadata, split }: LineOptions,
): { readonly made: MadeLine; readonly isTooLong: boolean } {
  const refuse = (problem: string, isTooLong = false) =>
    ({ made: { ok: false, document: place, problem }, isTooLong }) as const
  const rendered = renderTemplate(template, { model, values })
  if (!rendered.ok) return refuse(rendered.problem)
  const { body } = rendered
  const excess = findExcess(body, model ?? template.model)
  const hint = split || row !== undefined ? '' : '; --split makes several jobs of it'
  if (excess !== undefined) return refuse(`${excess}${hint}`, true)
  const fields = {
    url: '/v1/chat/completions',
    body,
    metadata: { document: source, ...rowMark(row), ...marks, ...metadata },
  }
  const line = JSON.stringify({ custom_id: idFor(place, JSON.stringify(fields)), method: 'POST', ...fields })
  const parsed = parseJob(Buffer.from(line), {}, sha256)
  if (!parsed.ok) return refuse(`${parsed.problem}${hint}`, Buffer.byteLength(line) > MAX_PART)
  return { made: { ok: true, line, body }, isTooLong: false }
}

function rowMark(row: number | undefined): { readonly row?: string } {
  return row === undefined ? {} : { row: String(row) }
}

/** Why a model cannot read a request. Undefined if it can, or if it is not known how much it reads. */
function findExcess(body: Job['body'], model: string | undefined): string | undefined {
  const window = contextWindow(model)
  const { promptTokens } = estimateTokens(body)
  const cap = window?.isShared ? (outputTokenCap(body) ?? 0) : 0
  if (window === undefined || promptTokens + cap <= window.input) return undefined
  const answer = cap === 0 ? '' : ` beside an answer of ${number(cap)}`
  return `it makes a prompt of about ${number(promptTokens)} tokens${answer}, and ${model} has room for ${number(window.input)}`
}

/** In characters. */
function longestPart(template: Template, model: string | undefined): number {
  const fixed = [...(template.system ?? []), ...template.user].reduce(
    (sum, piece) => sum + (typeof piece === 'string' ? piece.length : 0),
    0,
  )
  const tokens = (contextWindow(model)?.always ?? USUAL_WINDOW) - (outputTokenCap(template.cap) ?? 0)
  const room = Math.floor(tokens * CHARACTERS_PER_TOKEN * SPLIT_SHARE) - fixed
  return Math.min(Math.max(room, 1_000), MAX_PART)
}

const HASH_DIGITS = 12
const MAX_PLACE = 200

/** The same request of the same document has the same id. */
function idFor(place: string, request: string): string {
  const hash = Buffer.from(sha256(request)).toString('hex').slice(0, HASH_DIGITS)
  const shown = place.length > MAX_PLACE ? `…${place.slice(-MAX_PLACE)}` : place
  return `${shown.toWellFormed()}@${hash}`
}
