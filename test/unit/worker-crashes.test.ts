import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { ModelReply } from '../../shared/models/provider.ts'
import { createJobStore } from '../../shared/stores/job-store/create-job-store.ts'
import type { RecordDocuments } from '../../shared/stores/record-documents.ts'
import { aJob } from '../support/job-builders.ts'
import type { JobParts } from '../support/job-dependencies.ts'
import { providerOf } from '../support/job-processing.ts'
import { aReply, failed, virtualJobs } from '../support/virtual-jobs.ts'

/** Longer than any lease here. */
const LEASE_OVER_MS = 600_000

/** Where a worker dies: before a step took effect, or after, so that only its reply is lost. */
const steps = ['claim', 'ask', 'settle', 'dead letter', 'event'] as const
type Step = (typeof steps)[number]
type Death = { readonly step: Step; readonly when: 'before' | 'after' }

class Crash extends Error {}

/** A job's world, in which workers can be made to die. What they did outside is counted. */
async function aWorld(t: TestContext, reply: 'answers' | 'refuses') {
  const on = await virtualJobs(t)
  const { documents, record } = on
  const done: Record<Step, number> = { claim: 0, ask: 0, settle: 0, 'dead letter': 0, event: 0 }
  let owners = 0

  /** One worker, which dies at a step, or lives. */
  function worker(death?: Death): JobParts {
    const at = async <T>(step: Step, work: () => T | Promise<T>): Promise<T> => {
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
    return {
      ...on.parts,
      store: createJobStore(mortal, 1_000),
      newOwner: () => `owner-${++owners}`,
      deadLetter: () => at('dead letter', () => undefined),
      announce: () => at('event', () => undefined),
      provider: providerOf(() => at('ask', () => (reply === 'answers' ? aReply() : failed('rejected')))),
    }
  }

  const deliver = (to: JobParts, run = 1) => on.deliver(to, { job: aJob({ run }) })
  const unknowns = async () => (await record())?.attempts.filter(({ outcome }) => outcome === 'unknown').length ?? 0
  return { clock: on.clock, done, worker, deliver, record, unknowns }
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
  asleep.resolve(aReply({ text: '{"late":true}' }))
  const outcome = await sleeper
  assert.deepEqual([outcome.done, await record(), done.event], [false, settled, 1])
})

for (const first of ['replay', 'redelivery'] as const) {
  test(`a replay and a redelivery that race, the ${first} first, both end, and cost one call between them`, async (t) => {
    const { done, worker, deliver, record } = await aWorld(t, 'refuses')
    await deliver(worker())
    const runs = first === 'replay' ? [2, 1] : [1, 2]
    const outcomes = await Promise.all(runs.map((run) => deliver(worker(), run)))
    const ended = outcomes.map((outcome) => outcome.done)
    assert.deepEqual(ended, [true, true])
    const last = await record()
    assert.deepEqual([last?.run, last?.status, done.ask], [2, 'dead_lettered', 2])
  })
}
