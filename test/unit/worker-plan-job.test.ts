import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { jobUrls } from '../../shared/job/job.ts'
import { parseJob } from '../../shared/job/parse-job.ts'
import { bodyOf } from '../../shared/models/azure-openai/azure-openai.ts'
import { applyBatchControls, CANCELLED, type PlanDependencies, planJob } from '../../worker/jobs/plan-job.ts'
import { aDeployment } from '../support/deployment-builders.ts'
import { aJob, START, sha256 } from '../support/job-builders.ts'
import { circuitsOf, controlsOf } from '../support/job-processing.ts'

const MINUTE_MS = 60_000
const ROLLOUT_MS = 10 * MINUTE_MS
const deployment = aDeployment()

const planning = (over: Partial<PlanDependencies> = {}): PlanDependencies => ({
  deployments: [deployment],
  circuits: circuitsOf(() => START),
  maxOutputTokens: 1_000,
  allowedBodyFields: [],
  rolloutMs: ROLLOUT_MS,
  now: () => START,
  ...over,
})
const unknown = aJob({ model: 'gpt-5' })

/** Why a job is dead-lettered without being asked. */
function refusalOf(plan: ReturnType<typeof planJob>) {
  assert.ok(plan.kind === 'end' && plan.ending.status === 'dead_lettered')
  assert.equal(plan.ending.error.kind, 'invalid')
  return plan.ending.error
}

describe('a job for a model that no deployment serves', () => {
  test('on Cloud Run is deferred while its message is younger than ten minutes: a rollout may bring the model', () => {
    const plan = planJob(planning(), unknown, START - ROLLOUT_MS + 1)
    assert.ok(plan.kind === 'defer')
    assert.equal(plan.failure.kind, 'busy')
    assert.match(plan.failure.message, /no deployment of this revision serves the model it names/)
    assert.match(plan.failure.hint ?? '', /^Served here: gpt-4o\. Add a deployment/)
  })

  test('on Cloud Run is refused at the very millisecond at which its message is ten minutes old', () => {
    const { message } = refusalOf(planJob(planning(), unknown, START - ROLLOUT_MS))
    assert.equal(message, 'no deployment serves the model it names')
  })

  test('elsewhere is refused at once', () => {
    refusalOf(planJob(planning({ rolloutMs: 0 }), unknown, START))
  })

  test('expires by its deadline all the same, and is cancelled with its batch', async () => {
    const late = planJob(planning(), aJob({ model: 'gpt-5', deadline: START - 1 }), START)
    assert.ok(late.kind === 'end' && late.ending.status === 'expired')
    const watch = await controlsOf().watch('nightly')
    const cancelling = { ...watch, cancelled: AbortSignal.abort(), limitReached: () => assert.fail('it is not read') }
    assert.equal(await applyBatchControls(cancelling, unknown, planJob(planning(), unknown, START)), CANCELLED)
    const plan = planJob(planning(), unknown, START)
    const going = { ...cancelling, cancelled: watch.cancelled }
    assert.equal(await applyBatchControls(going, unknown, plan), plan)
  })
})

test('a job of any age whose model is served, or that names none, is asked', () => {
  for (const model of ['gpt-4o', undefined]) {
    for (const publishedAt of [START, START - 7 * 24 * 60 * MINUTE_MS]) {
      const plan = planJob(planning(), aJob({ model }), publishedAt)
      assert.deepEqual(plan, { kind: 'ask', candidates: [{ deployment, outputCap: undefined }] })
    }
  }
})

describe('the output that a job may ask for', () => {
  const chat = (body: object) => aJob({ body: { model: 'gpt-4o', messages: [], ...body } })
  const limited = (maxOutputTokens: number) => planning({ deployments: [{ ...deployment, maxOutputTokens }] })
  const problemOf = (body: object, over: PlanDependencies = planning()) => {
    const plan = planJob(over, chat(body), START)
    return plan.kind === 'end' && plan.ending.status === 'dead_lettered' ? plan.ending.error.message : undefined
  }
  const capOf = (body: object, over: PlanDependencies) => {
    const plan = planJob(over, chat(body), START)
    return plan.kind === 'ask' ? plan.candidates[0].outputCap : assert.fail('it is not asked')
  }

  test('is its cap times its choices, at most the limit, on Cloud Run as well', () => {
    assert.equal(problemOf({ max_tokens: 500, n: 2 }), undefined)
    assert.equal(
      problemOf({ max_tokens: 501, n: 2 }),
      'it asks for up to 1002 output tokens; MAX_OUTPUT_TOKENS is 1000',
    )
    assert.match(problemOf({ max_completion_tokens: 2, n: Number.MAX_SAFE_INTEGER }) ?? '', /MAX_OUTPUT_TOKENS is 1000/)
  })

  test('without a cap is a token for each choice at least, so that no limit is divided down to nothing', () => {
    assert.equal(problemOf({ n: 1_000 }), undefined)
    assert.match(problemOf({ n: 1_001 }) ?? '', /asks for up to 1001 output tokens/)
    assert.match(problemOf({ n: 8 }, limited(7)) ?? '', /maxOutputTokens of its deployment is 7/)
  })

  test('is limited by its deployment where that has a limit, be it lower or higher', () => {
    assert.equal(
      problemOf({ max_tokens: 8 }, limited(7)),
      'it asks for up to 8 output tokens; maxOutputTokens of its deployment is 7',
    )
    assert.equal(problemOf({ max_tokens: 5_000 }, limited(5_000)), undefined)
  })

  test('is set to the limit, shared by its choices, where the operator set one and the body has no cap', () => {
    const caps = [{}, { max_tokens: null }, { n: 3 }, { n: 100 }].map((body) => capOf(body, limited(100)))
    assert.deepEqual(caps, [100, 100, 33, 1])
    assert.equal(capOf({ max_completion_tokens: 5 }, limited(100)), undefined)
  })

  test('is left to the model where no limit was set: the default is more than some models take', () => {
    assert.equal(capOf({}, planning()), undefined)
  })

  test('is never more than the limit, whatever the body says', () => {
    const anyNumber = fc.oneof(
      fc.integer({ min: -2, max: 300 }).map(String),
      fc.double().map(String),
      fc.bigInt().map(String),
      fc.constantFrom('1e1', '1e400', '100.0', '-0', '"5"', 'null', 'true', '[5]', '{"a":1}'),
    )
    const names = ['max_tokens', 'max_completion_tokens', 'max_output_tokens', 'n', 'best_of']
    const anyFields = fc.uniqueArray(fc.tuple(fc.constantFrom(...names), anyNumber), { selector: ([name]) => name })
    const anyUrl = fc.constantFrom(...jobUrls)
    let asked = 0
    fc.assert(
      fc.property(anyUrl, anyFields, fc.integer({ min: 1, max: 200 }), (url, fields, limit) => {
        const members = fields.map(([name, number]) => `"${name}":${number}`).join()
        const parsed = parseJob(Buffer.from(`{"url":"${url}","body":{${members}}}`), {}, sha256)
        if (!parsed.ok) return
        const plan = planJob(limited(limit), parsed.job, START)
        if (plan.kind !== 'ask') return
        asked += 1
        const body = bodyOf({ job: parsed.job, outputCap: plan.candidates[0].outputCap, deployment }, undefined)
        const sent: Record<string, unknown> = JSON.parse(JSON.stringify(body))
        const field = url === '/v1/responses' ? 'max_output_tokens' : 'max_completion_tokens'
        if (url === '/v1/embeddings') return
        const caps = [sent[field], sent['max_tokens']].filter((cap) => cap !== null && cap !== undefined).map(Number)
        assert.ok(caps.length > 0)
        for (const cap of caps) assert.ok(cap >= 1 && cap * Number(sent['n'] ?? 1) <= limit)
      }),
      { numRuns: 2_000 },
    )
    assert.ok(asked > 100)
  })
})

test('a job that asks for what is not allowed is refused with the names and the setting, and asked once they are allowed', () => {
  const body = { messages: [], store: true, tools: [{ type: 'mcp' }, { type: 'x\u202e' }], top_k: 1 }
  const { message, hint } = refusalOf(planJob(planning(), aJob({ body }), START))
  assert.equal(
    message,
    'its body asks for what is not allowed here: store, other.top_k, tools.mcp, other.tools.x\ufffd',
  )
  assert.match(hint ?? '', /ALLOW_BODY_FIELDS/)
  const allowedBodyFields = ['store', 'tools', 'other']
  assert.equal(planJob(planning({ allowedBodyFields }), aJob({ body }), START).kind, 'ask')
})

test('of many names that are not allowed, five are said, and sixty characters of each', () => {
  const body = Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`${at}`.repeat(80), 1]))
  assert.match(
    refusalOf(planJob(planning(), aJob({ body }), START)).message,
    /: (other\.\d{54}, ){4}other\.\d{54} and 4 more$/,
  )
})
