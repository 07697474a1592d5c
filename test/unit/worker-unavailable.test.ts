import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, type TestContext, test } from 'node:test'
import { unknownAttempts } from '../../shared/job/attempts.ts'
import type { ModelReply } from '../../shared/models/provider.ts'
import { aJob, DAY_MS, START } from '../support/job-builders.ts'
import type { JobParts } from '../support/job-dependencies.ts'
import { circuitsOf, providerOf } from '../support/job-processing.ts'
import { aReply, failed, virtualJobs } from '../support/virtual-jobs.ts'

const MINUTE_MS = 60_000
/** As Pub/Sub redelivers at its slowest backoff. */
const REDELIVERED_EVERY_MS = 10_000

/** A worker in virtual time whose model answers as `reply` says; `deliver` brings the job's message once. */
async function workerWhere(
  t: TestContext,
  reply: (sends: number, now: number) => ModelReply,
  over: Partial<JobParts> = {},
  job = aJob(),
) {
  const on = await virtualJobs(t, job)
  const { clock, now } = on
  const sends: number[] = []
  const provider = providerOf(async () => {
    sends.push(clock.now)
    return reply(sends.length, clock.now)
  })
  // Each delivery finds another instance, whose circuits are closed: the record alone makes it wait.
  const deliver = () => on.deliver({ ...on.parts, circuits: circuitsOf(now), provider, newOwner: randomUUID, ...over })
  /** Redelivers until the message is acknowledged, or for so long. */
  const redeliver = async (forMs: number) => {
    for (const end = clock.now + forMs; clock.now < end; clock.now += REDELIVERED_EVERY_MS) {
      const outcome = await deliver()
      if (outcome.done) return outcome.as
    }
    return 'still waiting'
  }
  return { ...on, sends, deliver, redeliver }
}

const unavailable = failed('unavailable', { httpStatus: 503 })
const answer = aReply()

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
    const on = await workerWhere(t, () => unavailable, {}, aJob({ deadline }))
    assert.equal(await on.redeliver(60 * MINUTE_MS), 'expired')
    assert.ok(on.clock.now > deadline && on.clock.now <= deadline + 10 * MINUTE_MS)
    assert.ok(on.sends.every((at) => at <= deadline))
  })
})

describe('a wait that the provider asked for', () => {
  test('is kept by every delivery: none of them claims, sends or counts', async (t) => {
    const asked = failed('unavailable', { httpStatus: 503, retryAfterMs: 6 * MINUTE_MS })
    const on = await workerWhere(t, (sends) => (sends === 1 ? asked : answer))
    assert.equal(await on.redeliver(6 * MINUTE_MS), 'still waiting')
    assert.equal(on.sends.length, 1)
    assert.equal(await on.redeliver(MINUTE_MS), 'succeeded')
    assert.equal(on.sends[1], START + 6 * MINUTE_MS)
  })

  test('is kept for ten minutes at most', async (t) => {
    const asked = failed('unavailable', { httpStatus: 503, retryAfterMs: DAY_MS })
    const on = await workerWhere(t, (sends) => (sends === 1 ? asked : answer))
    await on.deliver()
    assert.partialDeepStrictEqual(await on.record(), { status: 'waiting', waitMs: 10 * MINUTE_MS })
  })
})

describe('a model that takes longer than MODEL_TIMEOUT_SECONDS', () => {
  const hint = 'Raise MODEL_TIMEOUT_SECONDS'
  const timeout = failed('timeout', { hint })

  test('is asked twice, and the job is then dead-lettered with the setting to change', async (t) => {
    const on = await workerWhere(t, () => timeout)
    assert.equal(await on.redeliver(10 * MINUTE_MS), 'dead_lettered')
    const record = await on.record()
    assert.deepEqual([on.sends.length, on.letters.length], [2, 1])
    assert.partialDeepStrictEqual(on.letters, [{ reason: 'max_attempts', code: 'timeout' }])
    assert.partialDeepStrictEqual(record, { error: { kind: 'max_attempts', code: 'timeout', hint } })
    const ends = record?.attempts.map(({ outcome, cause }) => `${outcome}: ${cause}`)
    assert.deepEqual(ends, ['unknown: timeout', 'unknown: timeout'])
  })
})

test('an answer without a usage is kept, and limits are charged an estimate', async (t) => {
  const spent: number[] = []
  const daily = {
    limitReached: async () => undefined,
    spend: ({ promptTokens, completionTokens }: { promptTokens: number; completionTokens: number }) =>
      void spent.push(promptTokens + completionTokens),
  }
  const on = await workerWhere(t, () => aReply({ usage: undefined, finishReason: 'unknown' }), { daily })
  await on.deliver()
  const record = await on.record()
  assert.partialDeepStrictEqual(record, { status: 'succeeded', usageKnown: false, finishReason: 'unknown' })
  assert.ok(record?.status === 'succeeded')
  assert.deepEqual(spent, [record.usage.promptTokens + record.usage.completionTokens])
  assert.ok(record.usage.promptTokens > 0 && record.usage.completionTokens > 0)
})
