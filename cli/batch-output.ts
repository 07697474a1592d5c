import type { SettledRecord } from '../shared/job/record.ts'
import { withMember } from './json-text.ts'

/**
 * Writes a settled job as a line of an OpenAI Batch output file.
 *
 * `result`: the answer's JSON text, where the job succeeded.
 */
export function batchOutputLine(record: SettledRecord, result: string | undefined): string {
  if (record.status !== 'succeeded') {
    const { kind, code = kind, message, hint } = record.error
    return errorLine(record, code, [message, hint].filter(Boolean).join('. '))
  }
  const attempt = record.attempts.at(-1)
  const answered = { status_code: attempt?.httpStatus ?? 200, request_id: attempt?.requestId ?? '' }
  const response = withMember(JSON.stringify(answered), 'body', result ?? 'null')
  return withMember(withMember(JSON.stringify(named(record)), 'response', response), 'error', 'null')
}

/** The line of a job without an answer that can be shown. */
export function errorLine(record: SettledRecord, code: string, message: string): string {
  return JSON.stringify({ ...named(record), response: null, error: { code, message } })
}

function named({ key, id }: SettledRecord) {
  return { id: `batch_req_${key}`, custom_id: id }
}
