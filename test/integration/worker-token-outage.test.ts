import assert from 'node:assert/strict'
import { after, afterEach, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { DEFAULT_DEPLOYMENT, startAzureOpenAI } from '../../local/azure-openai.ts'
import { AZURE, GOOGLE } from '../../local/identities.ts'
import { type Cloud, callsOf, clearFaults, placeFault, startCloud } from '../support/stand-ins.ts'
import { impatient, startWorker, watchClock } from '../support/worker.ts'

const unlimited = { ...DEFAULT_DEPLOYMENT, requestsPerMinute: 1_000_000, tokensPerMinute: 1_000_000_000 }
const cloud = await startCloud({ azure: { deployments: [unlimited] } })
after(() => cloud.close())
afterEach(() => Promise.all([cloud.entra, cloud.metadata, cloud.azure].map(clearFaults)))

const MINUTE_MS = 60_000
const LOOK_EVERY_MS = 10
const START = Date.now()
const httpDate = (time: number) => new Date(time).toUTCString()
const aJob = (n: number) => ({ id: `doc-${n}`, prompt: 'Bridges carry people over water.' })

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

/** A worker whose clock the test puts on, and whose every wait after a failure is as long as may be. */
async function startOnClock(on: Cloud = cloud, settings: Readonly<Record<string, string | undefined>> = {}) {
  const { clock, now } = watchClock()
  const worker = await startWorker(on, {
    settings: { MAX_IN_FLIGHT: '10000', ...settings },
    dependencies: { ...impatient.dependencies, now },
  })
  return Object.assign(worker, { clock })
}

const pushAll = (worker: Awaited<ReturnType<typeof startOnClock>>, count: number, from = 0) =>
  Promise.all(Array.from({ length: count }, (_, n) => worker.push(aJob(from + n))))

const answers = (pushed: readonly { status: number; reason?: string | undefined }[]) => [
  ...new Set(pushed.map(({ status, reason = '' }) => `${status} ${reason}`.trim())),
]

describe('many jobs', () => {
  test('that arrive cold cost one call of each, a hundred as well as one, and so do a hundred at expiry', async () => {
    await using worker = await startOnClock()
    const cold = await watchTokenCalls(cloud)
    assert.deepEqual(answers(await pushAll(worker, 100)), ['204'])
    assert.deepEqual(await cold(), { posts: 1, gets: 1 })
    worker.clock.aheadMs = 2 * 60 * MINUTE_MS
    const expired = await watchTokenCalls(cloud)
    assert.deepEqual(answers(await pushAll(worker, 100, 100)), ['204'])
    assert.deepEqual(await expired(), { posts: 1, gets: 1 })
  })

  test('that come while the token is due for renewal do not wait for it, except the one whose request renews it', async () => {
    const entra = Promise.withResolvers<void>()
    await using slow = await startCloud({ entra: { dependencies: { wait: () => entra.promise } } })
    await using worker = await startOnClock(slow)
    await worker.push(aJob(0))
    worker.clock.aheadMs = 50 * MINUTE_MS
    await placeFault(slow.entra, { kind: 'delay', ms: 1, match: '/token' })
    const calls = await watchTokenCalls(slow)
    const others = Promise.withResolvers<void>()
    let answered = 0
    const pushes = Array.from({ length: 30 }, async (_, n) => {
      await worker.push(aJob(1 + n))
      answered += 1
      if (answered === 29) others.resolve()
    })
    await others.promise
    // A call is in the log when it has been answered.
    assert.equal((await calls()).posts, 0)
    entra.resolve()
    await Promise.all(pushes)
    assert.equal((await calls()).posts, 1)
  })
})

describe('a wrong subject', () => {
  test('with many jobs costs one exchange in each backoff period, one document of each kind, and no job', async () => {
    await using worker = await startOnClock()
    await placeFault(cloud.entra, { kind: 'status', error: 'wrong_subject', match: '/token' })
    const calls = await watchTokenCalls(cloud)
    const first = worker.push(aJob(0))
    while ((await calls()).posts < 2) await delay(LOOK_EVERY_MS)
    // Ten minutes later it can be no setting on its way any more.
    worker.clock.aheadMs = 10 * MINUTE_MS
    assert.deepEqual(await first, { status: 503, reason: 'token' })
    worker.clock.stop()
    const whileSpreading = (await calls()).posts - 1
    for (let wave = 0; wave < 10; wave += 1) {
      assert.deepEqual(answers(await pushAll(worker, 20, 20 * wave)), ['503 token'])
    }
    assert.equal((await calls()).posts, whileSpreading + 1)
    worker.clock.aheadMs += MINUTE_MS
    assert.deepEqual(answers(await pushAll(worker, 20)), ['503 token'])
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
    assert.deepEqual(await worker.push(aJob(0)), { status: 204 })
    assert.ok((await worker.tokenFailures()).every(({ resolvedAt }) => resolvedAt !== undefined))
  })
})

describe('an outage of Entra', () => {
  test('is waited out by a job whose push lasts, and resolved in its document', async () => {
    await using worker = await startWorker(cloud, { dependencies: { random: () => 0.1 } })
    await placeFault(cloud.entra, { kind: 'status', error: 'temporarily_unavailable', times: 3, match: '/token' })
    assert.deepEqual(await worker.push(aJob(0)), { status: 204 })
    const [failure, ...others] = await worker.tokenFailures()
    assert.deepEqual([failure?.kind, failure?.tries, failure?.jobsHeld, others], ['passing', 3, 1, []])
    assert.ok(failure?.resolvedAt !== undefined)
  })

  test("that cannot read Google's keys ends by itself: the job is served by the same push", async () => {
    await using worker = await startWorker(cloud, { dependencies: { random: () => 0.1 } })
    await placeFault(cloud.entra, { kind: 'status', error: 'keys_unreadable', times: 2, match: '/token' })
    assert.deepEqual(await worker.push(aJob(0)), { status: 204 })
    const [failure, ...others] = await worker.tokenFailures()
    assert.deepEqual([failure?.kind, failure?.tries, failure?.aadsts, others], ['passing', 2, [50166], []])
    assert.match(failure?.hint ?? '', /^Entra could not read the keys with which .* ends by itself/)
  })

  test('delays no job while the token is good', async () => {
    await using worker = await startOnClock()
    await worker.push(aJob(0))
    worker.clock.stop()
    worker.clock.aheadMs = 50 * MINUTE_MS
    const headers = { 'retry-after': '200' }
    await placeFault(cloud.entra, { kind: 'status', error: 'temporarily_unavailable', headers, match: '/token' })
    assert.deepEqual(answers(await pushAll(worker, 100, 1)), ['204'])
    const [failure] = await worker.tokenFailures()
    assert.deepEqual([failure?.tries, failure?.jobsHeld, failure?.resolvedAt], [1, 0, undefined])
    assert.ok((failure?.tokenValidForMs ?? 0) > 5 * MINUTE_MS)
  })

  for (const [form, headers] of [
    ['in seconds', { 'retry-after': '100' }],
    ['as a date', { 'retry-after': httpDate(START + 100_000), date: httpDate(START) }],
  ] as const) {
    test(`that asks to wait ${form} is not asked before that, and up to a fifth later`, async () => {
      await using worker = await startOnClock()
      worker.clock.stop()
      await placeFault(cloud.entra, { kind: 'status', error: 'throttled', headers, times: 1, match: '/token' })
      const calls = await watchTokenCalls(cloud)
      assert.deepEqual(answers(await pushAll(worker, 10)), ['503 token'])
      // Jobs are held for ten seconds at most.
      worker.clock.aheadMs = 109_000
      assert.deepEqual(answers(await pushAll(worker, 10)), ['503 token'])
      assert.equal((await calls()).posts, 1)
      worker.clock.aheadMs = 120_000
      assert.deepEqual(answers(await pushAll(worker, 10)), ['204'])
      assert.equal((await calls()).posts, 2)
    })
  }
})

describe('Azure refuses', () => {
  test('every token: one renewal, however many jobs see it, then a circuit of a minute, and it recovers', async () => {
    await using worker = await startOnClock()
    worker.clock.stop()
    await placeFault(cloud.azure, { kind: 'status', error: 'unauthorized' })
    const calls = await watchTokenCalls(cloud)
    const refused = await pushAll(worker, 100)
    assert.deepEqual(answers(refused), ['503 unauthorized'])
    assert.deepEqual(answers(await pushAll(worker, 100, 100)), ['503 unauthorized'])
    assert.deepEqual(await calls(), { posts: 2, gets: 1 })
    const [failure, ...others] = await worker.tokenFailures()
    assert.deepEqual([failure?.leg, failure?.kind, failure?.tries, others], ['azure_refused', 'configuration', 1, []])
    assert.equal(failure?.deployment, `* at ${new URL(cloud.azure.url).host}`)
    assert.match(failure?.hint ?? '', /to a fresh token .* Set AZURE_TENANT_ID/)

    await clearFaults(cloud.azure)
    worker.clock.aheadMs = MINUTE_MS
    assert.deepEqual(answers(await pushAll(worker, 100)), ['204'])
    assert.equal((await calls()).posts, 2)
    assert.ok((await worker.tokenFailures())[0]?.resolvedAt !== undefined)
    assert.deepEqual(await worker.deadLetters(), [])
  })

  test('every token of one resource: two exchanges, and the jobs of the other resource go on', async () => {
    const tokenKeys = { tokenKeysUrl: cloud.entra.keysUrl, tokenKeysCaPem: cloud.entra.caPem }
    const another = await startAzureOpenAI({ ...tokenKeys, deployments: [unlimited] })
    await using started = new AsyncDisposableStack()
    started.defer(() => another.close())
    const serving = (model: string, endpoint: string) => ({ model, endpoint, deployment: AZURE.deployment })
    const served = [serving('good', cloud.azure.url), serving('bad', another.url)]
    await using worker = await startOnClock(cloud, {
      ...{ DEPLOYMENTS: JSON.stringify(served), AZURE_OPENAI_ENDPOINT: undefined, AZURE_OPENAI_DEPLOYMENT: undefined },
    })
    await placeFault(another, { kind: 'status', error: 'unauthorized' })
    const calls = await watchTokenCalls(cloud)
    const pushed = async (model: string, n: number) => worker.push({ ...aJob(n), model })
    assert.deepEqual(await pushed('bad', 0), { status: 503, reason: 'unauthorized' })
    for (let round = 1; round <= 10; round += 1) {
      assert.deepEqual(await pushed('bad', 0), { status: 503, reason: 'unauthorized' })
      assert.deepEqual(await pushed('good', round), { status: 204 })
      worker.clock.aheadMs += 100_000
    }
    assert.deepEqual(await calls(), { posts: 2, gets: 1 })
    const failures = await worker.tokenFailures()
    assert.deepEqual(
      failures.map(({ deployment }) => deployment),
      [`* at ${new URL(another.url).host}`],
    )
    await clearFaults(another)
    worker.clock.aheadMs += 5 * MINUTE_MS
    assert.deepEqual(await pushed('bad', 0), { status: 204 })
    assert.ok((await worker.tokenFailures())[0]?.resolvedAt !== undefined)
  })

  test('the caller: jobs wait for its open circuit without a write, one document says how to fix it, and the circuit closes again', async () => {
    await using worker = await startOnClock()
    worker.clock.stop()
    await placeFault(cloud.azure, { kind: 'status', error: 'permission_denied' })
    assert.deepEqual(await worker.push(aJob(0)), { status: 503, reason: 'forbidden' })
    assert.deepEqual(answers(await pushAll(worker, 100, 1)), ['503 forbidden'])
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
    assert.deepEqual(answers(await pushAll(worker, 100)), ['204'])
    assert.ok((await worker.tokenFailures())[0]?.resolvedAt !== undefined)
  })
})

test('a worker writes a heartbeat, once a minute at most', async () => {
  await using worker = await startOnClock()
  worker.clock.stop()
  await pushAll(worker, 10)
  worker.clock.aheadMs = MINUTE_MS
  await worker.push(aJob(10))
  const [instance, ...others] = await worker.instances()
  assert.deepEqual(others, [])
  assert.deepEqual([instance?.token, instance?.models], ['good', [AZURE.deployment]])
  const counted = Object.values(instance?.lastMinute ?? {}).reduce((sum, n) => sum + n, 0)
  assert.equal(counted, 10)
})
