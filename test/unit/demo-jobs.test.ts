import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FILTERED_ID, summaryJobs, TOO_LONG_ID } from '../../cli/demo/demo-jobs.ts'
import { parseJob } from '../../shared/job/parse-job.ts'
import { sha256 } from '../support/job-builders.ts'

const PURPOSES = { model: 'gpt-4o-mini', filteredPhrase: '[[stop this]]', tooManyBytes: 10_000 }
const DOCUMENTS = [
  { name: '@scope/one/README.md', text: '# One\n"quoted", \\ and 日本語' },
  { name: 'two/README.md', text: 'Two.' },
]

function parsed(line: unknown) {
  const result = parseJob(Buffer.from(JSON.stringify(line)), { batch: 'demo' }, sha256)
  assert.ok(result.ok, 'a line of the demo is a job')
  return result.job
}

test('there is a job for each document, and two more that must fail', () => {
  const ids = summaryJobs(DOCUMENTS, PURPOSES).map(({ custom_id }) => custom_id)
  assert.deepEqual(ids, ['@scope/one/README.md', 'two/README.md', FILTERED_ID, TOO_LONG_ID])
})

test('each line is a job that the worker accepts, with the document as it stands', () => {
  const jobs = summaryJobs(DOCUMENTS, PURPOSES).map(parsed)
  for (const { model, batch, metadata, id } of jobs) {
    assert.deepEqual({ model, batch, metadata }, { model: 'gpt-4o-mini', batch: 'demo', metadata: { source: id } })
  }
  assert.partialDeepStrictEqual(jobs[0]?.body, { messages: [{}, { role: 'user', content: DOCUMENTS[0]?.text }] })
})

test('one holds the phrase that the content filter stops, and one alone', () => {
  const holding = summaryJobs(DOCUMENTS, PURPOSES).filter((line) => JSON.stringify(line).includes('[[stop this]]'))
  assert.deepEqual(
    holding.map(({ custom_id }) => custom_id),
    [FILTERED_ID],
  )
})

test("one is longer than the model's context, however short the documents are", () => {
  const tiny = [{ name: 'a/README.md', text: 'a' }]
  for (const documents of [DOCUMENTS, tiny]) {
    const line = summaryJobs(documents, PURPOSES).find(({ custom_id }) => custom_id === TOO_LONG_ID)
    assert.ok(Buffer.byteLength(JSON.stringify(line)) >= PURPOSES.tooManyBytes)
  }
})
