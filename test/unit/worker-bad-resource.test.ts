import assert from 'node:assert/strict'
import { syncBuiltinESMExports } from 'node:module'
import { describe, type TestContext, test } from 'node:test'
import { createAccessTokenSource } from '../../shared/identity/access-token-source.ts'
import { createBearerProvider } from '../../shared/models/bearer-provider.ts'
import { createDrain } from '../../worker/delivery/drain.ts'
import { admit } from '../../worker/jobs/admit.ts'
import { ask } from '../../worker/jobs/ask.ts'
import { aDeployment } from '../support/deployment-builders.ts'
import { aJob } from '../support/job-builders.ts'
import { circuitsOf, NEVER_MISSING, NO_DAILY_LIMIT, NO_PAUSES } from '../support/job-processing.ts'
import { aReply, failed } from '../support/virtual-jobs.ts'

const TOKEN_LIFE_MS = 3_600_000
const RENEWALS_IN_AN_HOUR = 1
const STEP_MS = 500
const good = aDeployment({ deployment: 'good' })
const bad = aDeployment({ endpoint: 'https://fabrikam.openai.azure.com', deployment: 'bad' })
const answer = aReply()
const refusal = failed('unauthorized', { httpStatus: 401 })

/** All microtasks that are due, and what they cause. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve))

/** A worker of which one resource refuses every token, in virtual time. An exchange takes half a second. */
function aWorker(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 })
  // So that modules that import a timer by its name get the mocked one.
  syncBuiltinESMExports()
  t.after(() => {
    t.mock.timers.reset()
    syncBuiltinESMExports()
  })
  const now = Date.now
  const counts = { exchanges: 0, sentToBad: 0, delayed: 0, answered: 0, unanswered: 0 }
  const tokens = createAccessTokenSource({
    async fetchToken() {
      counts.exchanges += 1
      await new Promise((resolve) => setTimeout(resolve, STEP_MS))
      return { value: `token ${counts.exchanges}`, fetchedAt: now(), expiresAt: now() + TOKEN_LIFE_MS }
    },
    diagnose: () => ({ nature: 'configuration', hint: '' }),
    now,
    random: () => 0.5,
  })
  const circuits = circuitsOf(now, 0.5)
  const provider = createBearerProvider(tokens, async ({ deployment }) => {
    if (deployment === good) return answer
    counts.sentToBad += 1
    return refusal
  })
  const limits = { daily: NO_DAILY_LIMIT, pauses: NO_PAUSES, missing: NEVER_MISSING }
  const parts = { circuits, provider, now, ...limits, drain: createDrain() }
  const modelTimeoutMs = 120_000
  const waitUntil = () => undefined

  async function run(deployment: typeof good): Promise<void> {
    const begunAt = now()
    const admitted = await admit({ ...parts, modelTimeoutMs }, [{ deployment, outputCap: undefined }], {
      deadline: begunAt + 570_000,
      waitUntil,
    })
    if (!admitted.ok) return
    const sendBy = now() + 30_000
    const limits = { leftMs: () => sendBy - now(), modelTimeoutMs, waitUntil, cancelled: new AbortController().signal }
    const { reply } = await ask(parts, { job: aJob(), seat: admitted.seat, clientRequestId: 'r' }, limits)
    admitted.seat.leave()
    if (deployment !== good) return
    counts[reply.ok ? 'answered' : 'unanswered'] += 1
    if (now() > begunAt) counts.delayed += 1
  }

  /** Lets time pass for work that has begun. */
  async function pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += STEP_MS) {
      await settled()
      t.mock.timers.tick(STEP_MS)
    }
    await settled()
  }
  return { run, pass, counts, tokens }
}

describe('a resource that refuses every token', () => {
  for (const [often, everySeconds] of [
    ['each second', 1],
    ['each 100 seconds', 100],
  ] as const) {
    test(`costs two exchanges at most, and no other job a moment, with a job for it ${often} for an hour`, async (t) => {
      const { run, pass, counts } = aWorker(t)
      const jobs: Promise<void>[] = [run(bad)]
      await pass(2_000)
      for (let second = 0; second < 3_600; second += 1) {
        if (second % everySeconds === 0) jobs.push(run(bad))
        jobs.push(run(good))
        await pass(1_000)
      }
      await Promise.all(jobs)
      assert.deepEqual([counts.answered, counts.unanswered, counts.delayed], [3_600, 0, 0])
      assert.ok(counts.exchanges <= 2 + RENEWALS_IN_AN_HOUR, `${counts.exchanges} exchanges`)
      assert.ok(counts.sentToBad <= 30, `${counts.sentToBad} requests to it`)
    })
  }

  test('costs no exchange where another resource accepted the token before', async (t) => {
    const { run, pass, counts } = aWorker(t)
    const jobs = [run(good)]
    await pass(1_000)
    jobs.push(run(bad), run(bad))
    await pass(1_000)
    jobs.push(run(good))
    await Promise.all(jobs)
    assert.deepEqual([counts.exchanges, counts.answered], [1, 2])
  })

  test('and is the only one is sent a second token once, and then is waited for', async (t) => {
    const { run, pass, counts, tokens } = aWorker(t)
    // The first has been sent both tokens before the next comes.
    void run(bad)
    await pass(3_000)
    for (let second = 0; second < 20; second += 1) {
      void run(bad)
      await pass(1_000)
    }
    assert.deepEqual([counts.exchanges, counts.sentToBad, tokens.status().state], [2, 2, 'failing'])
  })
})
