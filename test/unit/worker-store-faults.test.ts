import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createJobStore } from '../../shared/stores/job-store/create-job-store.ts'
import { StoreError } from '../../shared/stores/job-store.ts'
import type { RecordDocuments } from '../../shared/stores/record-documents.ts'
import { losingReplies } from '../contract/job-store-support.ts'
import { aJob } from '../support/job-builders.ts'
import { providerOf } from '../support/job-processing.ts'
import { aReply, failed, fateOf, virtualJobs } from '../support/virtual-jobs.ts'

const storeOver = (documents: RecordDocuments) => ({ store: createJobStore(documents, 1_000) })

test('a claim whose reply was lost goes on, and costs the job no attempt', async (t) => {
  const { parts, documents, asked, deliver, record } = await virtualJobs(t)
  const outcome = await deliver({ ...parts, ...storeOver(losingReplies(documents)) })
  assert.deepEqual([fateOf(outcome), asked], ['succeeded', [`${aJob().key}.1.1`]])
  assert.equal((await record())?.attempts.length, 1)
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

test('an answer that the store refuses for good ends the job, and is not paid for again', async (t) => {
  const { parts, documents, asked, letters, deliver, record } = await virtualJobs(t)
  const refusing = { ...parts, ...storeOver(refusingAnswers(documents)) }
  for (let deliveries = 0; deliveries < 2; deliveries += 1) assert.equal((await deliver(refusing)).done, true)
  const reasons = letters.map(({ reason }) => reason)
  assert.deepEqual([asked.length, reasons], [1, ['store', 'store']])
  const attempts = [{ outcome: 'succeeded', usage: { promptTokens: 1 } }]
  assert.partialDeepStrictEqual(await record(), { status: 'dead_lettered', attempts })
})

test('an answer without a usage that the store refuses leaves an estimated usage, marked as unknown', async (t) => {
  const { parts, documents, deliver, record } = await virtualJobs(t)
  const provider = providerOf(async () => aReply({ usage: undefined }))
  await deliver({ ...parts, ...storeOver(refusingAnswers(documents)), provider })
  assert.partialDeepStrictEqual(await record(), { attempts: [{ outcome: 'succeeded', usageKnown: false }] })
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

test('a job is released although the store is unavailable for a moment at its release', async (t) => {
  const { parts, documents, deliver, record } = await virtualJobs(t)
  const provider = providerOf(async () => failed('ambiguous'))
  const outcome = await deliver({ ...parts, ...storeOver(failingReleases(documents, 2)), provider })
  assert.equal(fateOf(outcome), 'ambiguous')
  assert.partialDeepStrictEqual(await record(), { status: 'waiting', attempts: [{ outcome: 'unknown' }] })
})
