import type { SettledRecord } from '../shared/job/record.ts'
import { withMember } from './json-text.ts'

/**
 * Writes a settled job as a line of an OpenAI Batch output file.
 *
 * `result`: the answer's JSON text, where the job succeeded.
 */
export function batchOutputLine(record: SettledRecord, result: string | undefined): string {
  const attempt = record.attempts.at(-1)
  const line = { id: `batch_req_${record.key}`, custom_id: record.id }
  if (record.status !== 'succeeded') {
    const { kind, code = kind, message, hint } = record.error
    return JSON.stringify({
      ...line,
      response: null,
      error: { code, message: [message, hint].filter(Boolean).join('. ') },
    })
  }
  const answered = { status_code: attempt?.httpStatus ?? 200, request_id: attempt?.requestId ?? '' }
  const response = withMember(JSON.stringify(answered), 'body', result ?? 'null')
  return withMember(withMember(JSON.stringify(line), 'response', response), 'error', 'null')
}
