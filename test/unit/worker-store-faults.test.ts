import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StoreError } from '../../shared/stores/job-store.ts'
import type { RecordDocuments } from '../../shared/stores/record-documents.ts'
import { openSqliteDocuments } from '../../shared/stores/sqlite/sqlite-documents.ts'
import { processJob } from '../../worker/jobs/process-job.ts'
import { losingReplies } from '../contract/job-store-support.ts'
import { aJob } from '../support/job-builders.ts'
import { jobDependencies } from '../support/job-dependencies.ts'
import { partsOver, providerOf } from '../support/job-processing.ts'

const job = aJob({ model: undefined, deadline: undefined })

function delivered() {
  return {
    job,
    message: { data: Buffer.from('x'), attributes: {} },
    publishedAt: Date.now(),
    deadline: Date.now() + 60_000,
    waitUntil: () => undefined,
  }
}

test('a claim whose reply was lost goes on, and costs the job no attempt', async () => {
  const documents = await openSqliteDocuments(':memory:', Date.now)
  const asked: string[] = []
  const outcome = await processJob(jobDependencies(partsOver(losingReplies(documents), asked)), delivered())
  assert.equal(outcome.done, true)
  assert.deepEqual(asked, [`${job.key}.1.1`])
  const found = await documents.read(job.key)
  assert.equal(found?.record.status, 'succeeded')
  assert.equal(found?.record.attempts.length, 1)
  documents.close()
})

/** No answer can be kept here. */
function refusingAnswers(documents: RecordDocuments): RecordDocuments {
  return {
    ...documents,
    async replace(record, revision) {
      if (record.status === 'succeeded') throw new StoreError('refused', 'too large')
      return documents.replace(record, revision)
    },
  }
}

test('an answer that the store refuses for good ends the job, and is not paid for again', async () => {
  const documents = await openSqliteDocuments(':memory:', Date.now)
  const asked: string[] = []
  const reasons: string[] = []
  const deadLetter = async (_: unknown, { reason }: { reason: string }) => void reasons.push(reason)
  const processing = partsOver(refusingAnswers(documents), asked, deadLetter)
  for (let deliveries = 0; deliveries < 2; deliveries += 1) {
    const outcome = await processJob(jobDependencies(processing), delivered())
    assert.equal(outcome.done, true)
  }
  assert.deepEqual([asked.length, reasons], [1, ['store', 'store']])
  const found = await documents.read(job.key)
  assert.equal(found?.record.status, 'dead_lettered')
  assert.partialDeepStrictEqual(found?.record.attempts, [{ outcome: 'succeeded', usage: { promptTokens: 1 } }])
  documents.close()
})

test('an answer without a usage that the store refuses leaves an estimated usage, marked as unknown', async () => {
  const documents = await openSqliteDocuments(':memory:', Date.now)
  const answer = {
    ok: true,
    text: '{}',
    usage: undefined,
    finishReason: 'stop',
    httpStatus: 200,
    requestId: 'r',
  } as const
  const provider = providerOf(async () => answer)
  const processing = partsOver(refusingAnswers(documents), [], async () => undefined)
  await processJob(jobDependencies({ ...processing, provider }), delivered())
  const found = await documents.read(job.key)
  assert.partialDeepStrictEqual(found?.record.attempts, [{ outcome: 'succeeded', usageKnown: false }])
  documents.close()
})

/** The first tries to give a job back fail. */
function failingReleases(documents: RecordDocuments, failures: number): RecordDocuments {
  let left = failures
  return {
    ...documents,
    async replace(record, revision) {
      if (record.status === 'waiting' && left > 0) {
        left -= 1
        throw new StoreError('unavailable', 'away')
      }
      return documents.replace(record, revision)
    },
  }
}

test('a job is released although the store is unavailable for a moment at its release', async () => {
  const documents = await openSqliteDocuments(':memory:', Date.now)
  const lost = { kind: 'ambiguous', message: 'no whole answer came' } as const
  const provider = providerOf(async () => ({ ok: false, failure: lost }))
  const outcome = await processJob(
    jobDependencies({ ...partsOver(failingReleases(documents, 2), []), provider }),
    delivered(),
  )
  assert.deepEqual(outcome.done ? outcome.as : outcome.failure.kind, 'ambiguous')
  const found = await documents.read(job.key)
  assert.deepEqual([found?.record.status, found?.record.attempts[0]?.outcome], ['waiting', 'unknown'])
  documents.close()
})
