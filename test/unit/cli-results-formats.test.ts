import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formats } from '../../cli/results/formats.ts'
import type { Result } from '../../cli/results/read-results.ts'
import { fileNameOf } from '../../cli/results/write-folder.ts'
import { aDeadLetteredRecord, aSucceededRecord } from '../support/job-builders.ts'

const FAILURE: Result = {
  kind: 'failure',
  record: aDeadLetteredRecord({ error: { kind: 'rejected', message: 'too long' } }),
}

function anAnswerOf(content: string): Result {
  assert.ok(aSucceededRecord.status === 'succeeded')
  const answer = JSON.stringify({ choices: [{ message: { content }, finish_reason: 'stop' }] })
  return { kind: 'answer', record: aSucceededRecord, answer }
}

const write = (format: keyof typeof formats, result: Result) => [...formats[format].write(result)].join('')

const CELLS = [
  ['Bridges.', 'Bridges.'],
  ['a, b', '"a, b"'],
  ['he said "no"', '"he said ""no"""'],
  ['two\nlines', '"two\nlines"'],
  ['=HYPERLINK("x")', '"\'=HYPERLINK(""x"")"'],
  ['+1', "'+1"],
  ['-1', "'-1"],
  ['@cmd', "'@cmd"],
] as const

for (const [text, cell] of CELLS) {
  test(`csv: the text ${JSON.stringify(text)} is the cell ${cell}`, () => {
    assert.equal(write('csv', anAnswerOf(text)), `doc-7,succeeded,${cell},stop,gpt-4o,11,7,,,,,\r\n`)
  })
}

test('csv: the cost of a job is that of its attempts', () => {
  const { attempts } = aSucceededRecord
  const usage = { promptTokens: 1_000_000, completionTokens: 0 }
  const record = { ...aSucceededRecord, attempts: attempts.map((attempt) => ({ ...attempt, usage })) }
  assert.ok(record.status === 'succeeded')
  const price = { model: 'gpt-4o', from: 0, until: Infinity, input: 2.5, output: 10, source: 's', asOf: '2026-11-27' }
  const row = [...formats.csv.write({ kind: 'answer', record, answer: '{}' }, new Map([['gpt-4o', [price]]]))].join('')
  assert.equal(row.split(',')[7], '2.5')
})

test('csv: a failed job has its reason, and no tokens', () => {
  assert.equal(write('csv', FAILURE), 'doc-7,dead_lettered,,,gpt-4o,,,,rejected,too long,,\r\n')
})

test('text: an answer stands below its id, and so does a failure', () => {
  assert.equal(write('text', anAnswerOf('Bridges.')), '== doc-7 ==\nBridges.\n\n')
  assert.equal(write('text', FAILURE), '== doc-7 ==\n(rejected: too long)\n\n')
})

test('every format has a line for an answer that cannot be read', () => {
  assert.ok(aSucceededRecord.status === 'succeeded')
  const torn: Result = { kind: 'torn', record: aSucceededRecord }
  for (const name of ['jsonl', 'csv', 'text'] as const)
    assert.match(write(name, torn), /the stored answer cannot be read/)
})

test('file names: a plain id is kept, and any other becomes a name with a hash, in the folder and of bounded length', () => {
  assert.equal(fileNameOf('doc-7.md'), 'doc-7.md.txt')
  const ids = [
    'docs/a b.pdf',
    'docs/a_b.pdf',
    '../../etc/passwd',
    '.',
    '..',
    '.hidden',
    'DOC-7.md',
    '-rf',
    'x'.repeat(256),
    'Nacht №7',
    'a\0b',
    'doc-0123456789',
  ]
  const names = ids.map(fileNameOf)
  assert.equal(new Set(names.map((name) => name.toLowerCase())).size, ids.length)
  for (const name of names) assert.match(name, /^[\w][\w.-]{0,119}-[0-9a-f]{10}\.txt$/)
})
