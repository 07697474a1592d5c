import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { createLog } from '../../shared/log.ts'
import { createJobStore } from '../../shared/store/claiming-job-store.ts'
import { openSqliteDocuments } from '../../shared/store/sqlite/sqlite-documents.ts'
import { createDrain } from '../../worker/drain.ts'
import type { DeploymentGates } from '../../worker/model/deployment-gates.ts'
import { processJob } from '../../worker/process-job.ts'
import { aJob, DAY_MS, START } from '../support/job-builders.ts'
import { gatesOf, NO_CONTROLS, NO_DAILY_LIMIT, tokensOf } from '../support/job-processing.ts'

const deployment = {
  model: 'gpt-4o',
  endpoint: 'https://contoso.openai.azure.com',
  deployment: 'gpt-4o-eu',
  priority: 1,
}
const throttled = (retryAfterMs: number) => ({ kind: 'throttled', message: 'quota', retryAfterMs }) as const
const ignore = () => undefined
const job = aJob()
const message = { data: Buffer.from('{}'), attributes: {} }

/** While somebody waits for a gate, the clock goes on by as much. */
function passingTime(gates: DeploymentGates, clock: { now: number }): DeploymentGates {
  let waitedMs = 0
  return {
    ...gates,
    enter(deployment) {
      clock.now += waitedMs
      const entry = gates.enter(deployment)
      waitedMs = entry.isOpen || typeof entry.reopens !== 'number' ? 0 : entry.reopens
      return entry
    },
  }
}

/** All that a job needs, over records in memory; `onToken` is called when a token is asked for. */
async function processing(t: TestContext, onToken: () => void = () => undefined) {
  const clock = { now: START }
  const now = () => clock.now
  const documents = await openSqliteDocuments(':memory:', now)
  t.after(() => documents.close())
  const asked: number[] = []
  const parts = {
    store: createJobStore(documents, DAY_MS),
    controls: NO_CONTROLS,
    daily: NO_DAILY_LIMIT,
    deadLetter: async () => undefined,
    announce: async () => undefined,
    drain: createDrain(),
    gates: passingTime(gatesOf(now), clock),
    tokens: tokensOf(async () => {
      onToken()
      return { value: 'a token', fetchedAt: START, expiresAt: START + DAY_MS }
    }),
    provider: {
      async ask() {
        asked.push(now())
        return { ok: false, failure: { kind: 'rejected', message: 'rejected' } } as const
      },
    },
    deployments: [deployment],
    maxOutputTokens: 1_000,
    modelTimeoutMs: 120_000,
    retry: { maxAttempts: 5, onUnknown: 'retry' } as const,
    newOwner: () => 'a',
    now,
    log: createLog('silent', { write: () => undefined }),
  }
  const run = async (deadline = START + 570_000) => {
    const outcome = await processJob(parts, { job, message, deadline, waitUntil: ignore })
    return outcome.done ? outcome.as : outcome.failure.kind
  }
  const record = async () => (await documents.read(job.key))?.record
  return { ...parts, clock, run, asked, record }
}

describe('a job that must wait for quota', () => {
  test('longer than a minute is given back before it is claimed', async (t) => {
    const { run, gates, clock, record } = await processing(t)
    gates.learn(deployment, throttled(60_000), ignore)
    // A minute is the most that a gate is closed for, but for its jitter.
    clock.now -= 1
    assert.deepEqual([await run(), await record()], ['throttled', undefined])
  })

  test('longer than half of its push is given back, and as long as half is waited for', async (t) => {
    const { run, gates, record } = await processing(t)
    gates.learn(deployment, throttled(200), ignore)
    assert.deepEqual([await run(START + 399), await record()], ['throttled', undefined])
    assert.equal(await run(START + 400), 'dead_lettered')
  })

  test('is given back at once, unclaimed, when the instance begins to end', async (t) => {
    const { run, gates, drain, record } = await processing(t)
    gates.learn(deployment, throttled(30_000), ignore)
    const outcome = run()
    drain.begin(6_000)
    assert.deepEqual([await outcome, await record()], ['draining', undefined])
  })
})

describe('a push that is over', () => {
  test('before the token came claims nothing: its lease would be over, too', async (t) => {
    const on = await processing(t, () => {
      on.clock.now += 9_500
    })
    assert.deepEqual([await on.run(START + 9_500), on.asked, await on.record()], ['busy', [], undefined])
  })

  test('a millisecond later than the token came is still asked', async (t) => {
    const on = await processing(t, () => {
      if (on.asked.length === 0) on.clock.now = START + 9_499
    })
    assert.equal(await on.run(START + 9_500), 'dead_lettered')
    assert.equal((await on.record())?.status, 'dead_lettered')
  })
})

describe('a job that comes while another probes the deployment', () => {
  const denied = { kind: 'forbidden', message: 'denied' } as const

  /** The gate was closed, its time is over, and one job is in. */
  async function probed(t: TestContext) {
    const on = await processing(t)
    on.gates.learn(deployment, denied, ignore)
    const probe = on.gates.enter(deployment)
    assert.ok(probe.isOpen)
    return { ...on, probe }
  }

  test('waits for what that finds out, and goes on', async (t) => {
    const { run, gates, probe } = await probed(t)
    const outcome = run()
    gates.learn(deployment, undefined, ignore)
    probe.leave()
    assert.equal(await outcome, 'dead_lettered')
  })

  test('probes it next where that finds out nothing', async (t) => {
    const { run, asked, probe } = await probed(t)
    const outcome = run()
    probe.leave()
    assert.deepEqual([await outcome, asked.length], ['dead_lettered', 1])
  })

  test('is given back where that takes longer than its push can wait', async (t) => {
    const { run, record } = await probed(t)
    assert.deepEqual([await run(START + 20), await record()], ['forbidden', undefined])
  })

  test('is given back when the instance begins to end', async (t) => {
    const { run, drain } = await probed(t)
    const outcome = run()
    setImmediate(() => drain.begin(0))
    assert.equal(await outcome, 'draining')
  })
})
