import assert from 'node:assert/strict'
import { test } from 'node:test'
import { batchNameFor, fileStemOf } from '../../cli/submit/batch-name.ts'

const HASH = '0123456789abcdef'

test('batch name: it is made of the name of the input and of its content', () => {
  assert.equal(batchNameFor('in/my jobs.jsonl', HASH), 'my-jobs-0123456789ab')
})

test('batch name: none begins with a dash, which a command would read as an option, or a dot', () => {
  for (const [input, stem] of [
    ['-', 'standard-input'],
    ['docs/**/*.md', 'jobs'],
    ['reports/*-2026.md', '2026'],
    ['.', 'jobs'],
    ['..', 'jobs'],
    ['.hidden', 'hidden'],
    ['報告.jsonl', 'jobs'],
  ] as const) {
    assert.equal(batchNameFor(input, HASH), `${stem}-0123456789ab`, input)
  }
})

test('results file: it has the name of the input, with its letters of every script', () => {
  for (const [input, stem] of [
    ['docs/', 'docs'],
    ['報告.jsonl', '報告'],
    ['my jobs.jsonl', 'my jobs'],
    ['-', 'standard input'],
    ['docs/*.md', 'jobs'],
  ] as const) {
    assert.equal(fileStemOf(input), stem, input)
  }
})
