import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { FILTERED_ID, TOO_LONG_ID } from '../../cli/demo/demo-jobs.ts'
import { printFailures, printSummary } from '../../cli/demo/print-samples.ts'
import type { JobRecord } from '../../shared/job/record.ts'
import { succeeded } from '../../shared/job/transitions.ts'
import { createJobReader } from '../../shared/stores/job-reader.ts'
import { openSqliteDocuments } from '../../shared/stores/sqlite/sqlite-documents.ts'
import { aDeadLetteredRecord, anAnswer, aRunningRecord, DAY_MS, START } from '../support/job-builders.ts'

const SENTENCE = 'A kettle that boils water twice wastes power, so this one remembers when the water was hot.'

function recordOf(id: string, text: string): JobRecord {
  return succeeded(aRunningRecord({ id }), anAnswer(), { in: 'record', text }, { now: START, expireAt: START + DAY_MS })
}

function answered(id: string, content: string): JobRecord {
  return recordOf(id, JSON.stringify({ choices: [{ message: { content } }] }))
}

async function summaryOf(t: TestContext, texts: Readonly<Record<string, string>>, records: readonly JobRecord[]) {
  const store = await openSqliteDocuments(':memory:', Date.now)
  t.after(() => store.close())
  const documents = Object.entries(texts).map(([name, text]) => ({ name, text }))
  return stripVTControlCharacters(await printSummary(documents, records, createJobReader(store)))
}

test('a summary stands below the first lines of its source', async (t) => {
  const source = '# Kettle\n\nOne\nTwo\nThree\nFour\nFive\nSix'
  assert.equal(
    await summaryOf(t, { 'kettle/README.md': source }, [answered('kettle/README.md', SENTENCE)]),
    [
      'kettle/README.md',
      ...['# Kettle', 'One', 'Two', 'Three', 'Four', 'Five', '…'].map((line) => `  │ ${line}`),
      `  ${SENTENCE}`,
      '',
    ].join('\n'),
  )
})

test('the document that is shown is the first that is short and has a summary of some length', async (t) => {
  const texts = { failed: 'f', brief: 'b', long: 'l'.repeat(8_001), missing: 'm', good: 'g'.repeat(8_000), later: 'x' }
  const records = [
    aDeadLetteredRecord({ id: 'failed' }),
    answered('brief', 'a'.repeat(79)),
    answered('long', SENTENCE),
    answered('later', SENTENCE),
    answered('good', 'a'.repeat(80)),
  ]
  assert.match(await summaryOf(t, texts, records), /^good\n/)
  assert.equal(await summaryOf(t, { brief: 'b' }, records), '')
})

test('a summary is broken between words, before the 97th character', async (t) => {
  const words = Array.from({ length: 100 }, (_, n) => `word${n}`)
  const printed = await summaryOf(t, { doc: 'd' }, [answered('doc', words.join(' '))])
  const lines = printed.split('\n').slice(3, -1)
  assert.deepEqual(lines.map((line) => line.slice(2)).join(' '), words.join(' '))
  assert.ok(lines.length < 9 && lines.every((line) => line.length <= 2 + 96))
})

test('a word that is longer than a line has a line of its own', async (t) => {
  const link = `https://example.com/${'x'.repeat(96)}`
  const printed = await summaryOf(t, { doc: 'd' }, [answered('doc', `${link} is ${link}`)])
  assert.deepEqual(printed.split('\n').slice(3), [`  ${link}`, '  is', `  ${link}`, ''])
})

test('an answer that is not of the usual form is passed over', async (t) => {
  const odd = recordOf('doc', '{"choices":[]}')
  assert.equal(await summaryOf(t, { doc: 'd' }, [odd]), '')
})

test('what a document or a summary holds does not steer the terminal', async (t) => {
  const store = await openSqliteDocuments(':memory:', Date.now)
  t.after(() => store.close())
  const hostile = 'a\x1b[2J\x07\tb\r'
  const records = [answered('doc', `${hostile}${SENTENCE}`)]
  const printed = await printSummary([{ name: 'doc', text: hostile }], records, createJobReader(store))
  const left = stripVTControlCharacters(printed)
  const said = [
    `  a\\u001b[2J\\u0007 b\\u000dA kettle that boils water twice wastes power, so this one remembers when`,
    '  the water was hot.',
  ]
  const escaped = 'a\\u001b[2J\\u0007 b\\u000d'
  assert.deepEqual(left.split('\n'), ['doc', `  │ ${escaped}`, '  │ …', ...said, ''])
})

test('the two that fail on purpose are printed with their codes and what to do', () => {
  const error = { kind: 'rejected', code: 'content_filter', message: 'refused', hint: 'Change the prompt.' } as const
  const records = [
    aDeadLetteredRecord({ id: TOO_LONG_ID, error: { kind: 'invalid', message: 'too long' } }),
    aDeadLetteredRecord({ id: FILTERED_ID, error }),
    aDeadLetteredRecord({ id: 'another' }),
  ]
  assert.equal(
    stripVTControlCharacters(printFailures(records)),
    `  ${FILTERED_ID}  content_filter\n    Change the prompt.\n  ${TOO_LONG_ID}  invalid\n    \n`,
  )
})
