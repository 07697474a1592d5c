import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CANCELLED, heedBatch, type Planning, planJob } from '../../worker/plan-job.ts'
import { aJob, START } from '../support/job-builders.ts'
import { gatesOf } from '../support/job-processing.ts'

const MINUTE_MS = 60_000
const ROLLOUT_MS = 10 * MINUTE_MS
const deployment = { model: 'gpt-4o', endpoint: 'https://eu.openai.azure.com', deployment: 'gpt-4o-eu', priority: 1 }

const planning = (over: Partial<Planning> = {}): Planning => ({
  deployments: [deployment],
  gates: gatesOf(() => START),
  maxOutputTokens: 1_000,
  rolloutMs: ROLLOUT_MS,
  now: () => START,
  ...over,
})
const unknown = aJob({ model: 'gpt-5' })

describe('a job for a model that no deployment serves', () => {
  test('on Cloud Run is deferred while its message is younger than ten minutes: a rollout may bring the model', () => {
    const plan = planJob(planning(), unknown, START - ROLLOUT_MS + 1)
    assert.ok(plan.kind === 'defer')
    assert.equal(plan.failure.kind, 'busy')
    assert.match(plan.failure.message, /no deployment of this revision serves the model it names/)
    assert.match(plan.failure.hint ?? '', /^Served here: gpt-4o\. Add a deployment/)
  })

  test('on Cloud Run is refused at the very millisecond at which its message is ten minutes old', () => {
    const plan = planJob(planning(), unknown, START - ROLLOUT_MS)
    assert.ok(plan.kind === 'end' && plan.ending.status === 'dead_lettered')
    assert.equal(plan.ending.error.kind, 'invalid')
    assert.equal(plan.ending.error.message, 'no deployment serves the model it names')
  })

  test('elsewhere is refused at once', () => {
    const plan = planJob(planning({ rolloutMs: 0 }), unknown, START)
    assert.ok(plan.kind === 'end' && plan.ending.status === 'dead_lettered')
    assert.equal(plan.ending.error.kind, 'invalid')
  })

  test('expires by its deadline all the same, and is cancelled with its batch', async () => {
    const late = planJob(planning(), aJob({ model: 'gpt-5', deadline: START - 1 }), START)
    assert.ok(late.kind === 'end' && late.ending.status === 'expired')
    const watch = {
      cancelled: AbortSignal.abort(),
      limitReached: () => assert.fail('its limit is not read'),
      spend: () => undefined,
      leave: () => undefined,
    }
    assert.equal(await heedBatch(watch, unknown, planJob(planning(), unknown, START)), CANCELLED)
    const { signal: cancelled } = new AbortController()
    const plan = planJob(planning(), unknown, START)
    assert.equal(await heedBatch({ ...watch, cancelled }, unknown, plan), plan)
  })
})

test('a job of any age whose model is served, or that names none, is asked', () => {
  for (const model of ['gpt-4o', undefined]) {
    for (const publishedAt of [START, START - 7 * 24 * 60 * MINUTE_MS]) {
      assert.deepEqual(planJob(planning(), aJob({ model }), publishedAt), { kind: 'ask', deployment })
    }
  }
})

test('a job that asks for too much output is refused at once, on Cloud Run as well', () => {
  const plan = planJob(planning(), aJob({ body: { model: 'gpt-4o', messages: [], max_tokens: 1_001 } }), START)
  assert.ok(plan.kind === 'end' && plan.ending.status === 'dead_lettered')
  assert.match(plan.ending.error.message, /MAX_OUTPUT_TOKENS is 1000/)
})
