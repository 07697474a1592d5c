import assert from 'node:assert/strict'
import { test } from 'node:test'
import { batchOutputLine } from '../../cli/results/batch-output.ts'
import { aDeadLetteredRecord, anExpiredRecord, aSucceededRecord } from '../support/job-builders.ts'

const lineOf = (...of: Parameters<typeof batchOutputLine>) => [...batchOutputLine(...of)].join('')

// https://platform.openai.com/docs/guides/batch, "Retrieve the results"; Azure OpenAI's files have the same form.

test('a succeeded job is a line with the whole answer and no error', () => {
  const answer = { id: 'chatcmpl-1', object: 'chat.completion', choices: [{ index: 0 }], usage: { total_tokens: 18 } }
  const line: unknown = JSON.parse(lineOf(aSucceededRecord, JSON.stringify(answer)))
  assert.deepEqual(line, {
    id: `batch_req_${aSucceededRecord.key}`,
    custom_id: 'doc-7',
    response: { status_code: 200, request_id: 'request-1', body: answer },
    error: null,
  })
})

test('a failed job is a line with a code, a message and what to do', () => {
  const error = { kind: 'rejected', code: 'content_filter', message: 'Azure refused it', hint: 'Change the prompt.' }
  const record = aDeadLetteredRecord({ error: { ...error, kind: 'rejected' } })
  assert.deepEqual(JSON.parse(lineOf(record, undefined)), {
    id: `batch_req_${record.key}`,
    custom_id: 'doc-7',
    response: null,
    error: { code: 'content_filter', message: 'Azure refused it. Change the prompt.' },
  })
})

test('where the vendor gave no code, our own kind of failure is the code', () => {
  assert.partialDeepStrictEqual(JSON.parse(lineOf(anExpiredRecord, undefined)), {
    response: null,
    error: { code: 'expired', message: 'the deadline passed before it was started' },
  })
})

test('the answer is that of the last attempt, whatever came of those before', () => {
  const [last] = aSucceededRecord.attempts
  assert.ok(last)
  const lost = { ...last, owner: 'lost', outcome: 'unknown', httpStatus: 500, requestId: 'request-0' } as const
  const record = { ...aSucceededRecord, attempts: [lost, { ...last, n: 2 }] }
  assert.partialDeepStrictEqual(JSON.parse(lineOf(record, '{}')), {
    response: { status_code: 200, request_id: 'request-1' },
  })
})

test('an answer comes through as it was given, whatever its fields are', () => {
  const answer = '{"created":1,"id":7,"__proto__":{"odd":true},"text":"a\\nb\\u2028c"}'
  const line = lineOf(aSucceededRecord, answer)
  assert.match(line, /"body":\{"created":1,"id":7,"__proto__":\{"odd":true\}/)
  assert.equal(line.split('\n').length, 2)
})

test('an answer keeps the digits of its numbers, and a name that stands twice', () => {
  const answer = '{"seed":9007199254740993,"one":1.0,"small":1e-7,"least":-0,"x":1,"x":2}'
  assert.ok(lineOf(aSucceededRecord, answer).includes(`"body":${answer}}`))
})

test('an answer that has line ends between its values stays on one line', () => {
  const line = lineOf(aSucceededRecord, '{\r\n  "text": "a\\nb",\n  "n": [\n1,\r2]\n}\n')
  assert.match(line, /^[^\r\n]+\n$/)
  assert.partialDeepStrictEqual(JSON.parse(line), { response: { body: { text: 'a\nb', n: [1, 2] } }, error: null })
})

test('a long answer is written in pieces of less than a megabyte, and never cut through a character', () => {
  const answer = JSON.stringify({ text: `x${'😀'.repeat(600_000)}` })
  const pieces = [...batchOutputLine(aSucceededRecord, answer)]
  assert.ok(pieces.length > 3)
  assert.ok(pieces.every((piece) => Buffer.byteLength(piece) < 1_000_000 && piece.isWellFormed()))
  assert.ok(pieces.join('').includes(`"body":${answer}}`))
})
