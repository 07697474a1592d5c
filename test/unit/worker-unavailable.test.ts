import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, type TestContext, test } from 'node:test'
import type { Failure } from '../../shared/job/failures.ts'
import { unknownAttempts } from '../../shared/job/record.ts'
import type { ModelReply } from '../../shared/models/provider.ts'
import { createJobStore } from '../../shared/stores/job-store/create-job-store.ts'
import { openSqliteDocuments } from '../../shared/stores/sqlite/sqlite-documents.ts'
import { processJob } from '../../worker/jobs/process-job.ts'
import { aDeployment } from '../support/deployment-builders.ts'
import { aJob, DAY_MS, START } from '../support/job-builders.ts'
import { type JobParts, jobDependencies } from '../support/job-dependencies.ts'
import { circuitsOf, partsOver, providerOf } from '../support/job-processing.ts'

const MINUTE_MS = 60_000
/** As Pub/Sub redelivers at its slowest backoff. */
const REDELIVERED_EVERY_MS = 10_000
const job = aJob()

/** A worker in virtual time whose model answers as `reply` says; `deliver` brings the job's message once. */
async function workerWhere(
  t: TestContext,
  reply: (sends: number, now: number) => ModelReply,
  over: Partial<JobParts> = {},
  job = aJob(),
) {
  const clock = { now: START }
  const now = () => clock.now
  const documents = await openSqliteDocuments(':memory:', now)
  t.after(() => documents.close())
  const sends: number[] = []
  const letters: string[] = []
  const processing: JobParts = {
    ...partsOver(documents, [], async (_, { reason, code }) => void letters.push(`${reason} ${code ?? ''}`.trim())),
    store: createJobStore(documents, 30 * DAY_MS),
    provider: providerOf(async () => {
      sends.push(clock.now)
      return reply(sends.length, clock.now)
    }),
    deployments: [aDeployment()],
    ...{ now, random: () => 0, newOwner: randomUUID, modelTimeoutMs: 120_000, ...over },
  }
  // Each delivery finds another instance, whose circuits are closed: the record alone makes it wait.
  const deliver = () =>
    processJob(jobDependencies({ ...processing, circuits: circuitsOf(now) }), {
      ...{ job, message: { data: new Uint8Array(), attributes: {} }, publishedAt: START },
      ...{ deadline: clock.now + 570_000, waitUntil: () => undefined },
    })
  /** Redelivers until the message is acknowledged, or for so long. */
  const redeliver = async (forMs: number) => {
    for (const end = clock.now + forMs; clock.now < end; clock.now += REDELIVERED_EVERY_MS) {
      const outcome = await deliver()
      if (outcome.done) return outcome.as
    }
    return 'still waiting'
  }
  return { clock, sends, letters, deliver, redeliver, record: async () => (await documents.read(job.key))?.record }
}

const failed = (failure: Failure): ModelReply => ({ ok: false, failure })
const unavailable = failed({ kind: 'unavailable', httpStatus: 503, message: 'no capacity' })
const answer: ModelReply = {
  ...{ ok: true, text: '{"choices":[]}', usage: { promptTokens: 1, completionTokens: 1 }, finishReason: 'stop' },
  ...{ httpStatus: 200, requestId: undefined },
}

describe('an hour in which the provider answers 503', () => {
  test('dead-letters nothing, sends a few requests, and leaves one entry in the record', async (t) => {
    const on = await workerWhere(t, (_, now) => (now < START + 60 * MINUTE_MS ? unavailable : answer))
    assert.equal(await on.redeliver(59 * MINUTE_MS), 'still waiting')
    const record = await on.record()
    assert.deepEqual([record?.status, record?.attempts, record?.folded?.length], ['waiting', [], 1])
    assert.ok(on.sends.length < 20, `${on.sends.length} sends`)
    assert.equal(record && unknownAttempts(record), on.sends.length)

    assert.equal(await on.redeliver(30 * MINUTE_MS), 'succeeded')
    assert.deepEqual(on.letters, [])
  })

  test('ends a job by its deadline, and not before', async (t) => {
    const deadline = START + 20 * MINUTE_MS
    const on = await workerWhere(t, () => unavailable, {}, { ...job, deadline })
    assert.equal(await on.redeliver(60 * MINUTE_MS), 'expired')
    assert.ok(on.clock.now > deadline && on.clock.now <= deadline + 10 * MINUTE_MS)
    assert.ok(on.sends.every((at) => at <= deadline))
  })
})

describe('a wait that the provider asked for', () => {
  test('is kept by every delivery: none of them claims, sends or counts', async (t) => {
    const asked = failed({ kind: 'unavailable', httpStatus: 503, message: 'no capacity', retryAfterMs: 6 * MINUTE_MS })
    const on = await workerWhere(t, (sends) => (sends === 1 ? asked : answer))
    assert.equal(await on.redeliver(6 * MINUTE_MS), 'still waiting')
    assert.equal(on.sends.length, 1)
    assert.equal(await on.redeliver(MINUTE_MS), 'succeeded')
    assert.equal(on.sends[1], START + 6 * MINUTE_MS)
  })

  test('is kept for ten minutes at most', async (t) => {
    const asked = failed({ kind: 'unavailable', httpStatus: 503, message: 'no capacity', retryAfterMs: DAY_MS })
    const on = await workerWhere(t, (sends) => (sends === 1 ? asked : answer))
    await on.deliver()
    assert.partialDeepStrictEqual(await on.record(), { status: 'waiting', waitMs: 10 * MINUTE_MS })
  })
})

describe('a model that takes longer than MODEL_TIMEOUT_SECONDS', () => {
  const hint = 'Raise MODEL_TIMEOUT_SECONDS'
  const timeout = failed({ kind: 'timeout', message: 'no whole answer came', hint })

  test('is asked twice, and the job is then dead-lettered with the setting to change', async (t) => {
    const on = await workerWhere(t, () => timeout)
    assert.equal(await on.redeliver(10 * MINUTE_MS), 'dead_lettered')
    const record = await on.record()
    assert.deepEqual([on.sends.length, on.letters], [2, ['max_attempts timeout']])
    assert.partialDeepStrictEqual(record, { error: { kind: 'max_attempts', code: 'timeout', hint } })
    assert.deepEqual(
      record?.attempts.map(({ outcome, cause }) => [outcome, cause]),
      [
        ['unknown', 'timeout'],
        ['unknown', 'timeout'],
      ],
    )
  })
})

test('an answer without a usage is kept, and limits are charged an estimate', async (t) => {
  const spent: number[] = []
  const daily = {
    limitReached: async () => undefined,
    spend: ({ promptTokens, completionTokens }: { promptTokens: number; completionTokens: number }) =>
      void spent.push(promptTokens + completionTokens),
  }
  const on = await workerWhere(t, () => ({ ...answer, usage: undefined, finishReason: 'unknown' }), { daily })
  await on.deliver()
  const record = await on.record()
  assert.partialDeepStrictEqual(record, { status: 'succeeded', usageKnown: false, finishReason: 'unknown' })
  assert.ok(record?.status === 'succeeded')
  assert.deepEqual(spent, [record.usage.promptTokens + record.usage.completionTokens])
  assert.ok(record.usage.promptTokens > 0 && record.usage.completionTokens > 0)
})
