import assert from 'node:assert/strict'
import { createLog } from '../../shared/log.ts'
import { createJobStore } from '../../shared/store/claiming-job-store.ts'
import type { RecordDocuments } from '../../shared/store/record-documents.ts'
import { createDrain } from '../../worker/drain.ts'
import { createThrottleGates } from '../../worker/model/throttle-gates.ts'
import type { JobProcessing } from '../../worker/process-job.ts'

const DEPLOYMENT = { model: 'm', endpoint: 'http://127.0.0.1', deployment: 'd', priority: 1 }

/** Processes jobs over a store, with a model that answers at once; `asked` gathers the requests it was sent. */
export function processingOver(
  documents: RecordDocuments,
  asked: string[],
  deadLetter: JobProcessing['deadLetter'] = async () => assert.fail('nothing is to be dead-lettered'),
): JobProcessing {
  const token = { value: 't', fetchedAt: 0, expiresAt: Number.MAX_SAFE_INTEGER }
  const usage = { promptTokens: 1, completionTokens: 1 }
  return {
    store: createJobStore(documents, 1_000),
    deadLetter,
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
