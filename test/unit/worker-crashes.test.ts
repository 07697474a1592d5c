import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { ModelReply } from '../../shared/models/provider.ts'
import type { RecordDocuments } from '../../shared/stores/record-documents.ts'
import { openSqliteDocuments } from '../../shared/stores/sqlite/sqlite-documents.ts'
import type { Outcome } from '../../worker/delivery/outcome.ts'
import { processJob } from '../../worker/jobs/process-job.ts'
import { aJob, START } from '../support/job-builders.ts'
import { type JobParts, jobDependencies } from '../support/job-dependencies.ts'
import { partsOver, providerOf } from '../support/job-processing.ts'

/** Longer than any lease here. */
const LEASE_OVER_MS = 60_000
const job = aJob({ model: undefined, deadline: undefined, payloadHash: 'hash' })
const message = { data: Buffer.from('x'), attributes: {} }

/** Where a worker dies: before a step took effect, or after, so that only its reply is lost. */
const steps = ['claim', 'ask', 'settle', 'dead letter', 'event'] as const
type Step = (typeof steps)[number]
type Death = { readonly step: Step; readonly when: 'before' | 'after' }

class Crash extends Error {}

/** A job's world, in which workers can be made to die. What they did outside is counted. */
async function aWorld(t: TestContext, reply: 'answers' | 'refuses') {
  const clock = { now: START }
  const documents = await openSqliteDocuments(':memory:', () => clock.now)
  t.after(() => documents.close())
  const done: Record<Step, number> = { claim: 0, ask: 0, settle: 0, 'dead letter': 0, event: 0 }
  let owners = 0

  /** One worker, which dies at a step, or lives. */
  function worker(death?: Death): JobParts {
    const at = async <T>(step: Step, work: () => Promise<T>): Promise<T> => {
      if (death?.step === step && death.when === 'before') throw new Crash(step)
      const result = await work()
      done[step] += 1
      if (death?.step === step) throw new Crash(step)
      return result
    }
    const mortal: RecordDocuments = {
      ...documents,
      create: (record) => at('claim', () => documents.create(record)),
      replace: (record, revision) =>
        at(record.status === 'running' ? 'claim' : 'settle', () => documents.replace(record, revision)),
    }
    const usual = partsOver(mortal, [], () => at('dead letter', async () => undefined))
    const usage = { promptTokens: 1, completionTokens: 1 }
    const answer: ModelReply = { ok: true, text: '{}', usage, finishReason: 'stop', httpStatus: 200, requestId: 'r' }
    const refusal: ModelReply = { ok: false, failure: { kind: 'rejected', message: 'rejected', httpStatus: 400 } }
    return {
      ...usual,
      now: () => clock.now,
      newOwner: () => `owner-${++owners}`,
      announce: () => at('event', async () => undefined),
      provider: providerOf(() => at('ask', async () => (reply === 'answers' ? answer : refusal))),
    }
  }

  const deliver = (processing: JobParts, run = 1): Promise<Outcome> =>
    processJob(jobDependencies(processing), {
      job: { ...job, run },
      message,
      publishedAt: clock.now,
      deadline: clock.now + 600_000,
      waitUntil: () => undefined,
    })
  const record = async () => (await documents.read(job.key))?.record
  const unknowns = async () => (await record())?.attempts.filter(({ outcome }) => outcome === 'unknown').length ?? 0
  return { clock, done, worker, deliver, record, unknowns }
}

for (const reply of ['answers', 'refuses'] as const) {
  describe(`a job whose model ${reply}, and whose worker dies`, () => {
    const reached = steps.filter((step) => step !== 'dead letter' || reply === 'refuses')
    for (const step of reached) {
      for (const when of ['before', 'after'] as const) {
        test(`${when} the ${step}, is ended by the redelivery, and paid once except for attempts recorded as unknown`, async (t) => {
          const { clock, done, worker, deliver, record, unknowns } = await aWorld(t, reply)
          await assert.rejects(deliver(worker({ step, when })), Crash)
          clock.now += LEASE_OVER_MS
          assert.equal((await deliver(worker())).done, true)
          const status = reply === 'answers' ? 'succeeded' : 'dead_lettered'
          assert.equal((await record())?.status, status)
          assert.ok(done.ask >= 1 && done.ask <= 1 + (await unknowns()), JSON.stringify(done))
          assert.ok(done.event >= 1 && done['dead letter'] >= (reply === 'refuses' ? 1 : 0))
        })
      }
    }
  })
}

test('a job that fails has its event published before its dead letter: a replay may replace its record', async (t) => {
  const { done, worker, deliver } = await aWorld(t, 'refuses')
  await assert.rejects(deliver(worker({ step: 'dead letter', when: 'before' })), Crash)
  assert.deepEqual([done.settle, done.event, done['dead letter']], [1, 1, 0])
})

test('a worker that dies again and again ends the job when its attempts are used up, and every one is counted', async (t) => {
  const { clock, done, worker, deliver, record, unknowns } = await aWorld(t, 'answers')
  for (let deaths = 0; deaths < 5; deaths += 1) {
    await assert.rejects(deliver(worker({ step: 'ask', when: 'after' })), Crash)
    clock.now += LEASE_OVER_MS
  }
  assert.equal((await deliver(worker())).done, true)
  const last = await record()
  assert.ok(last?.status === 'dead_lettered')
  assert.deepEqual([last.error.kind, done.ask, await unknowns(), done['dead letter']], ['max_attempts', 5, 5, 1])
})

test('a worker that resumes after another took over writes nothing, and its message is redelivered', async (t) => {
  const { clock, done, worker, deliver, record } = await aWorld(t, 'answers')
  const asleep = Promise.withResolvers<ModelReply>()
  const asked = Promise.withResolvers<void>()
  const sleeper = deliver({
    ...worker(),
    // It is frozen: its own clock does not advance.
    provider: providerOf(() => {
      asked.resolve()
      return asleep.promise
    }),
  })
  await asked.promise
  clock.now += LEASE_OVER_MS
  assert.equal((await deliver(worker())).done, true)
  const settled = await record()
  const usage = { promptTokens: 9, completionTokens: 9 }
  asleep.resolve({ ok: true, text: '{"late":true}', usage, finishReason: 'stop', httpStatus: 200, requestId: 'r' })
  const outcome = await sleeper
  assert.deepEqual([outcome.done, await record(), done.event], [false, settled, 1])
})

for (const first of ['replay', 'redelivery'] as const) {
  test(`a replay and a redelivery that race, the ${first} first, both end, and cost one call between them`, async (t) => {
    const { done, worker, deliver, record } = await aWorld(t, 'refuses')
    await deliver(worker())
    const runs = first === 'replay' ? [2, 1] : [1, 2]
    const outcomes = await Promise.all(runs.map((run) => deliver(worker(), run)))
    assert.deepEqual(
      outcomes.map((outcome) => outcome.done),
      [true, true],
    )
    const last = await record()
    assert.deepEqual([last?.run, last?.status, done.ask], [2, 'dead_lettered', 2])
  })
}
