import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLog } from '../../shared/log.ts'
import { createJobStore } from '../../shared/store/claiming-job-store.ts'
import type { RecordDocuments } from '../../shared/store/record-documents.ts'
import { openSqliteDocuments } from '../../shared/store/sqlite/sqlite-documents.ts'
import { createDrain } from '../../worker/drain.ts'
import { createThrottleGates } from '../../worker/model/throttle-gates.ts'
import { type JobProcessing, processJob } from '../../worker/process-job.ts'
import { losingReplies } from '../contract/job-store-support.ts'
import { aJob } from '../support/job-builders.ts'

const DEPLOYMENT = { model: 'm', endpoint: 'http://127.0.0.1', deployment: 'd', priority: 1 }

function processingOver(documents: RecordDocuments, asked: string[]): JobProcessing {
  const token = { value: 't', fetchedAt: 0, expiresAt: Number.MAX_SAFE_INTEGER }
  const usage = { promptTokens: 1, completionTokens: 1 }
  return {
    store: createJobStore(documents, 1_000),
    deadLetter: async () => assert.fail('nothing is to be dead-lettered'),
    tokens: { get: async () => token, refused: () => assert.fail('no token is refused') },
    gates: createThrottleGates(Date.now, () => 0),
    provider: {
      async ask({ clientRequestId }) {
        asked.push(clientRequestId)
        return { ok: true, text: '{}', usage, finishReason: 'stop', httpStatus: 200, requestId: 'r' }
      },
    },
    deployments: [DEPLOYMENT],
    retry: { maxAttempts: 5, onUnknown: 'retry' },
    modelTimeoutMs: 10_000,
    maxOutputTokens: 1_000,
    newOwner: () => 'owner',
    drain: createDrain(),
    now: Date.now,
    log: createLog('error', { write: () => undefined }),
  }
}

test('a claim whose reply was lost goes on, and costs the job no attempt', async () => {
  const documents = await openSqliteDocuments(':memory:', Date.now)
  const asked: string[] = []
  const job = aJob({ model: undefined, deadline: undefined })
  const message = { data: Buffer.from('x'), attributes: {} }
  const delivered = { job, message, deadline: Date.now() + 60_000 }
  const outcome = await processJob(processingOver(losingReplies(documents), asked), delivered)
  assert.equal(outcome.done, true)
  assert.deepEqual(asked, [`${job.key}.1.1`])
  const found = await documents.read(job.key)
  assert.equal(found?.record.status, 'succeeded')
  assert.equal(found?.record.attempts.length, 1)
  documents.close()
})
