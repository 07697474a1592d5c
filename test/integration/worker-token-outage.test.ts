import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { AZURE, GOOGLE } from '../../local/identities.ts'
import {
  answersOf,
  azureAnswers,
  cloud,
  DONE,
  deferred,
  numbered,
  onWorker,
  pushAll,
  type Scenario,
} from '../support/on-worker.ts'
import { type Cloud, callsOf, clearFaults, placeFault } from '../support/stand-ins.ts'

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
      const left = [await worker.record('doc-0'), await worker.deadLetters(), await worker.modelCalls()]
      assert.deepEqual(left, [undefined, [], []])

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
