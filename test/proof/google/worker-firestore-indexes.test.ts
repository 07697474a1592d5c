import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, test } from 'node:test'
import { openDatabase } from '../../../shared/stores/firestore/database.ts'
import { createFirestoreBatches } from '../../../shared/stores/firestore/firestore-batches.ts'
import { createFirestoreDocuments } from '../../../shared/stores/firestore/firestore-documents.ts'
import { createJobStore } from '../../../shared/stores/job-store/create-job-store.ts'
import { createDrain } from '../../../worker/delivery/drain.ts'
import { createLog } from '../../../worker/observe/log.ts'
import { createSweep } from '../../../worker/sweep/sweep.ts'
import { NO_INDEX, openFirestoreProxy } from '../../support/firestore-proxy.ts'
import { aClaim, aJob, anAnswer, DAY_MS, START } from '../../support/job-builders.ts'
import { startWarmEmulator } from '../support/emulators.ts'

const emulator = await startWarmEmulator('firestore')
after(() => emulator.close())

/** Sweeps a sealed batch of one job, which has its answer, where queries of these fields have no index. */
async function sweepWithout(lacking: readonly string[]) {
  let aggregations = 0
  await using proxy = await openFirestoreProxy(emulator.address, (method, request) => {
    if (method === 'RunAggregationQuery') aggregations += 1
    // A write holds the same fields, and needs no index.
    return method !== 'BatchWrite' && lacking.some((field) => request.includes(field)) ? NO_INDEX : undefined
  })
  const database = openDatabase({ project: `p-${randomUUID()}`, emulator: proxy.address })
  const [documents, batches] = [createFirestoreDocuments(database), createFirestoreBatches(database)]
  const store = createJobStore(documents, DAY_MS)
  const { batch } = aJob()
  await batches.open(batch, START)
  await batches.seal(batch, 1, START)
  const claim = await store.claim(aClaim())
  assert.ok(claim.kind === 'run')
  await store.settle(claim.held, anAnswer(), START)
  const lines: string[] = []
  const sweep = createSweep({
    ...{
      documents,
      batches,
      dailyTokens: undefined,
      announce: async () => undefined,
      retry: aClaim().policy,
      resultTtlMs: DAY_MS,
      maxJobAgeMs: DAY_MS,
    },
    ...{
      drain: createDrain(),
      now: () => START,
      log: createLog('warn', { write: (line: string) => void lines.push(line) }),
    },
  })
  const swept = await sweep()
  const after = await batches.read(batch)
  await database.close()
  return { swept, after, lines: lines.join(''), aggregations }
}

test('a batch is completed without its tokens where their index is missing, and the log says how to fix it', async () => {
  const { swept, after, lines } = await sweepWithout(['usage.'])
  assert.deepEqual(swept.batches, { counted: 1, completed: 1, incomplete: 0, leftOut: 0, deferred: 0, refused: 0 })
  assert.partialDeepStrictEqual(after, { status: 'completed', counts: { succeeded: 1 } })
  assert.equal(after?.tokens, undefined)
  assert.match(lines, /"part":"tokens".*"code":"no_index".*deploy\/firestore\.indexes\.json.*promptbridge doctor/)
})

test('a batch is completed although the jobs that are due cannot be found', async () => {
  const { after, lines } = await sweepWithout(['due'])
  assert.partialDeepStrictEqual(after, { status: 'completed', tokens: anAnswer().usage })
  assert.match(lines, /"part":"jobs".*"no_index"/)
})

test('a batch is counted status by status while the index of its statuses is missing', async () => {
  const { swept, after } = await sweepWithout(['tally.'])
  assert.deepEqual([swept.batches.completed, after?.counts], [1, { succeeded: 1 }])
})

test('a batch is counted by two calls, and its tokens are summed by a third', async () => {
  const { after, aggregations } = await sweepWithout([])
  assert.deepEqual([after?.counts, after?.tokens, aggregations], [{ succeeded: 1 }, anAnswer().usage, 3])
})
