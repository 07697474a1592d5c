import type { SettledRecord } from '../../shared/job/record.ts'
import { cutIntoParts } from '../../shared/stores/result-parts.ts'
import { onOneLine, withMember } from '../json-text.ts'
import { partOf } from './document-parts.ts'

/**
 * Writes a settled job as a line of an OpenAI Batch output file, in pieces: an answer may have 128 MiB, and every further
 * copy of it costs as much.
 *
 * `result`: the answer's JSON text, where the job succeeded.
 */
export function* batchOutputLine(record: SettledRecord, result: string | undefined): Generator<string> {
  if (record.status !== 'succeeded') {
    const { kind, code = kind, message, hint } = record.error
    yield errorLine(record, code, [message, hint].filter(Boolean).join('. '))
    return
  }
  const attempt = record.attempts.at(-1)
  const answered = { status_code: attempt?.httpStatus ?? 200, request_id: attempt?.requestId ?? '' }
  const empty = withMember(JSON.stringify(named(record)), 'response', withMember(JSON.stringify(answered), 'body', ''))
  yield empty.slice(0, -CLOSING.length)
  for (const piece of cutIntoParts(result ?? 'null')) yield onOneLine(piece)
  yield `${withMember(CLOSING, 'error', 'null')}\n`
}

/** What closes the response, and the line. */
const CLOSING = '}}'

/** The line of a job that has no readable answer. */
export function errorLine(record: SettledRecord, code: string, message: string): string {
  return `${JSON.stringify({ ...named(record), response: null, error: { code, message } })}\n`
}

/** The parts of a document also name it. */
function named(record: SettledRecord) {
  const part = partOf(record)
  const place = part && { document: part.document, part: `${part.n}/${part.of}` }
  return { id: `batch_req_${record.key}`, custom_id: record.id, ...place }
}
