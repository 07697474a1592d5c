import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { startAzureOpenAI } from '../../local/azure-openai.ts'
import { AZURE, GOOGLE } from '../../local/identities.ts'
import {
  answersOf,
  azureAnswers,
  cloud,
  DONE,
  deferred,
  JOB,
  numbered,
  type OnWorker,
  onWorker,
  pushAll,
  type Scenario,
} from '../support/on-worker.ts'
import { type Cloud, callsOf, clearFaults, placeFault, startCloud } from '../support/stand-ins.ts'

const MINUTE_MS = 60_000
const LOOK_EVERY_MS = 10

/** The calls for tokens from now on. */
async function watchTokenCalls({ entra, metadata }: Cloud) {
  const count = async () =>
    [(await callsOf(entra, 'token')).length, (await callsOf(metadata, 'identity')).length] as const
  const [posts, gets] = await count()
  return async () => {
    const [postsNow, getsNow] = await count()
    return { posts: postsNow - posts, gets: getsNow - gets }
  }
}

/** Every wait after a failure is as long as can be. */
const LATE: Scenario = { MAX_IN_FLIGHT: '10000', dependencies: { random: () => 1 } }
const EARLY: Scenario = { dependencies: { random: () => 0.1 } }

describe('many jobs', () => {
  test('that arrive cold cost one call of each, a hundred as well as one, and so do a hundred at expiry', () =>
    onWorker(LATE, async (worker) => {
      const cold = await watchTokenCalls(cloud)
      assert.deepEqual(answersOf(await pushAll(worker, 100)), ['204'])
      assert.deepEqual(await cold(), { posts: 1, gets: 1 })
      worker.clock.aheadMs = 2 * 60 * MINUTE_MS
      const expired = await watchTokenCalls(cloud)
      assert.deepEqual(answersOf(await pushAll(worker, 100, 100)), ['204'])
      assert.deepEqual(await expired(), { posts: 1, gets: 1 })
    }))

  test('that come while the token is due for renewal do not wait for it, except the one whose request renews it', async () => {
    const entra = Promise.withResolvers<void>()
    await using slow = await startCloud({ entra: { dependencies: { wait: () => entra.promise } } })
    const whileDue = async (worker: OnWorker) => {
      await worker.push(numbered(0))
      worker.clock.aheadMs = 50 * MINUTE_MS
      await placeFault(slow.entra, { kind: 'delay', ms: 1, match: '/token' })
      const calls = await watchTokenCalls(slow)
      const others = Promise.withResolvers<void>()
      let answered = 0
      const pushes = Array.from({ length: 30 }, async (_, n) => {
        await worker.push(numbered(1 + n))
        answered += 1
        if (answered === 29) others.resolve()
      })
      await others.promise
      // A call is in the log when it has been answered.
      assert.equal((await calls()).posts, 0)
      entra.resolve()
      await Promise.all(pushes)
      assert.equal((await calls()).posts, 1)
    }
    await onWorker(LATE, whileDue, slow)
  })
})

describe('a wrong subject', () => {
  test('with many jobs costs one exchange in each backoff period, one document of each kind, and no job', () =>
    onWorker(LATE, async (worker) => {
      await placeFault(cloud.entra, { kind: 'status', error: 'wrong_subject', match: '/token' })
      const calls = await watchTokenCalls(cloud)
      const first = worker.push(numbered(0))
      while ((await calls()).posts < 2) await delay(LOOK_EVERY_MS)
      // Ten minutes later it can be no setting on its way any more.
      worker.clock.aheadMs = 10 * MINUTE_MS
      assert.deepEqual(await first, deferred('token'))
      worker.clock.stop()
      const whileSpreading = (await calls()).posts - 1
      for (let wave = 0; wave < 10; wave += 1) {
        assert.deepEqual(answersOf(await pushAll(worker, 20, 20 * wave)), ['503 token'])
      }
      assert.equal((await calls()).posts, whileSpreading + 1)
      worker.clock.aheadMs += MINUTE_MS
      assert.deepEqual(answersOf(await pushAll(worker, 20)), ['503 token'])
      assert.equal((await calls()).posts, whileSpreading + 2)

      const [configuration, spreading, ...others] = await worker.tokenFailures()
      assert.deepEqual([configuration?.kind, spreading?.kind, others], ['configuration', 'passing', []])
      assert.deepEqual([configuration?.tries, spreading?.tries], [2, whileSpreading])
      assert.ok((configuration?.jobsHeld ?? 0) >= 200)
      assert.deepEqual([configuration?.aadsts, configuration?.presented?.subject], [[700213], GOOGLE.subject])
      assert.match(configuration?.hint ?? '', new RegExp(`Set Subject .* to ${GOOGLE.subject}`))
      assert.match(worker.logText(), /AADSTS700213.*"requestId":"[\da-f-]{36}"/)
      assert.deepEqual(
        [await worker.record('doc-0'), await worker.deadLetters(), await worker.modelCalls()],
        [undefined, [], []],
      )

      await clearFaults(cloud.entra)
      worker.clock.aheadMs += 5 * MINUTE_MS
      assert.deepEqual(await worker.push(numbered(0)), DONE)
      assert.ok((await worker.tokenFailures()).every(({ resolvedAt }) => resolvedAt !== undefined))
    }))
})

describe('an outage of Entra', () => {
  test('is waited out by a job whose push lasts, and resolved in its document', () =>
    onWorker(EARLY, async (worker) => {
      await placeFault(cloud.entra, { kind: 'status', error: 'temporarily_unavailable', times: 3, match: '/token' })
      assert.deepEqual(await worker.push(numbered(0)), DONE)
      const [failure, ...others] = await worker.tokenFailures()
      assert.deepEqual([failure?.kind, failure?.tries, failure?.jobsHeld, others], ['passing', 3, 1, []])
      assert.ok(failure?.resolvedAt !== undefined)
    }))

  test("that cannot read Google's keys ends by itself: the job is served by the same push", () =>
    onWorker(EARLY, async (worker) => {
      await placeFault(cloud.entra, { kind: 'status', error: 'keys_unreadable', times: 2, match: '/token' })
      assert.deepEqual(await worker.push(numbered(0)), DONE)
      const [failure, ...others] = await worker.tokenFailures()
      assert.deepEqual([failure?.kind, failure?.tries, failure?.aadsts, others], ['passing', 2, [50166], []])
      assert.match(failure?.hint ?? '', /^Entra could not read the keys with which .* ends by itself/)
    }))

  test('delays no job while the token is good', () =>
    onWorker(LATE, async (worker) => {
      await worker.push(numbered(0))
      worker.clock.stop()
      worker.clock.aheadMs = 50 * MINUTE_MS
      const headers = { 'retry-after': '200' }
      await placeFault(cloud.entra, { kind: 'status', error: 'temporarily_unavailable', headers, match: '/token' })
      assert.deepEqual(answersOf(await pushAll(worker, 100, 1)), ['204'])
      const [failure] = await worker.tokenFailures()
      assert.deepEqual([failure?.tries, failure?.jobsHeld, failure?.resolvedAt], [1, 0, undefined])
      assert.ok((failure?.tokenValidForMs ?? 0) > 5 * MINUTE_MS)
    }))

  test('that asks to wait is not asked before that, and up to a fifth later', () =>
    onWorker(LATE, async (worker) => {
      worker.clock.stop()
      const throttled = { error: 'throttled', headers: { 'retry-after': '100' } }
      await placeFault(cloud.entra, { kind: 'status', ...throttled, times: 1, match: '/token' })
      const calls = await watchTokenCalls(cloud)
      assert.deepEqual(answersOf(await pushAll(worker, 10)), ['503 token'])
      // Jobs are held for ten seconds at most.
      worker.clock.aheadMs = 109_000
      assert.deepEqual(answersOf(await pushAll(worker, 10)), ['503 token'])
      assert.equal((await calls()).posts, 1)
      worker.clock.aheadMs = 120_000
      assert.deepEqual(answersOf(await pushAll(worker, 10)), ['204'])
      assert.equal((await calls()).posts, 2)
    }))
})

describe('Azure refuses', () => {
  test('every token: one renewal, however many jobs see it, then a circuit of a minute, and it recovers', () =>
    onWorker(LATE, async (worker) => {
      worker.clock.stop()
      await azureAnswers({ error: 'unauthorized' })
      const calls = await watchTokenCalls(cloud)
      const refused = await pushAll(worker, 100)
      assert.deepEqual(answersOf(refused), ['503 unauthorized'])
      assert.deepEqual(answersOf(await pushAll(worker, 100, 100)), ['503 unauthorized'])
      assert.deepEqual(await calls(), { posts: 2, gets: 1 })
      const [failure, ...others] = await worker.tokenFailures()
      assert.deepEqual([failure?.leg, failure?.kind, failure?.tries, others], ['azure_refused', 'configuration', 1, []])
      assert.equal(failure?.deployment, `* at ${new URL(cloud.azure.url).host}`)
      assert.match(failure?.hint ?? '', /to a fresh token .* Set AZURE_TENANT_ID/)

      await clearFaults(cloud.azure)
      worker.clock.aheadMs = MINUTE_MS
      assert.deepEqual(answersOf(await pushAll(worker, 100)), ['204'])
      assert.equal((await calls()).posts, 2)
      assert.ok((await worker.tokenFailures())[0]?.resolvedAt !== undefined)
      assert.deepEqual(await worker.deadLetters(), [])
    }))

  test('every token of one resource: two exchanges, and the jobs of the other resource go on', async () => {
    const tokenKeys = { tokenKeysUrl: cloud.entra.keysUrl, tokenKeysCaPem: cloud.entra.caPem }
    await using started = new AsyncDisposableStack()
    const bad = started.adopt(await startAzureOpenAI(tokenKeys), (own) => own.close())
    const serving = (model: string, endpoint: string) => ({ model, endpoint, deployment: AZURE.deployment })
    const DEPLOYMENTS = JSON.stringify([serving('good', cloud.azure.url), serving('bad', bad.url)])
    const one = { DEPLOYMENTS, AZURE_OPENAI_ENDPOINT: undefined, AZURE_OPENAI_DEPLOYMENT: undefined }
    await onWorker({ ...LATE, ...one }, async (worker) => {
      await placeFault(bad, { kind: 'status', error: 'unauthorized' })
      const calls = await watchTokenCalls(cloud)
      const push = (model: string, n: number) => worker.push({ ...numbered(n), body: { ...JOB.body, model } })
      assert.deepEqual(await push('bad', 0), deferred('unauthorized'))
      for (let round = 1; round <= 10; round += 1) {
        assert.deepEqual(await push('bad', 0), deferred('unauthorized'))
        assert.deepEqual(await push('good', round), DONE)
        worker.clock.aheadMs += 100_000
      }
      assert.deepEqual(await calls(), { posts: 2, gets: 1 })
      const failures = (await worker.tokenFailures()).map(({ deployment }) => deployment)
      assert.deepEqual(failures, [`* at ${new URL(bad.url).host}`])
      await clearFaults(bad)
      worker.clock.aheadMs += 5 * MINUTE_MS
      assert.deepEqual(await push('bad', 0), DONE)
      assert.ok((await worker.tokenFailures())[0]?.resolvedAt !== undefined)
    })
  })

  test('the caller: jobs wait for its open circuit without a write, one document says how to fix it, and the circuit closes again', () =>
    onWorker(LATE, async (worker) => {
      worker.clock.stop()
      await azureAnswers({ error: 'permission_denied' })
      assert.deepEqual(await worker.push(numbered(0)), deferred('forbidden'))
      assert.deepEqual(answersOf(await pushAll(worker, 100, 1)), ['503 forbidden'])
      assert.equal((await worker.modelCalls()).length, 1)
      assert.equal(await worker.record('doc-1'), undefined)
      const [failure, ...others] = await worker.tokenFailures()
      assert.deepEqual(
        [failure?.leg, failure?.code, failure?.tries, others],
        ['azure_refused', 'PermissionDenied', 1, []],
      )
      assert.match(failure?.hint ?? '', /role "Cognitive Services OpenAI User"/)

      await clearFaults(cloud.azure)
      worker.clock.aheadMs = MINUTE_MS
      assert.deepEqual(answersOf(await pushAll(worker, 100)), ['204'])
      assert.ok((await worker.tokenFailures())[0]?.resolvedAt !== undefined)
    }))
})

test('a worker writes a heartbeat, once a minute at most', () =>
  onWorker(LATE, async (worker) => {
    worker.clock.stop()
    await pushAll(worker, 10)
    worker.clock.aheadMs = MINUTE_MS
    await worker.push(numbered(10))
    const [instance, ...others] = await worker.instances()
    assert.deepEqual(others, [])
    assert.deepEqual([instance?.token, instance?.models], ['good', [AZURE.deployment]])
    const counted = Object.values(instance?.lastMinute ?? {}).reduce((sum, n) => sum + n, 0)
    assert.equal(counted, 10)
  }))
