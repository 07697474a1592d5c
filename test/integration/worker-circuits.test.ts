import assert from 'node:assert/strict'
import { after, afterEach, describe, test } from 'node:test'
import { clearFaults, placeFault, startCloud } from '../support/stand-ins.ts'
import { impatient, startWorker, watchClock } from '../support/worker.ts'

const MINUTE_MS = 60_000
const cloud = await startCloud()
after(() => cloud.close())
afterEach(() => clearFaults(cloud.azure))

const aJob = (n: number) => ({ id: `doc-${n}`, prompt: 'Bridges carry people over water.' })

/** A worker whose clock the test puts on, and whose every wait after a failure is as long as may be. */
async function startOnClock(settings: Readonly<Record<string, string>> = {}) {
  const { clock, now } = watchClock()
  const worker = await startWorker(cloud, { settings, dependencies: { ...impatient.dependencies, now } })
  const pushAll = (count: number) => Promise.all(Array.from({ length: count }, (_, n) => worker.push(aJob(n))))
  return Object.assign(worker, { clock, pushAll })
}

const answers = (pushed: readonly { status: number; reason?: string | undefined }[]) => [
  ...new Set(pushed.map(({ status, reason = '' }) => `${status} ${reason}`.trim())),
]

test('a deployment that Azure does not know: one request, jobs that wait, and the fix in the telemetry and the log', async () => {
  await using worker = await startOnClock({ AZURE_OPENAI_DEPLOYMENT: 'gpt-nowhere' })
  assert.deepEqual(await worker.push(aJob(0)), { status: 503, reason: 'no_deployment' })
  assert.deepEqual(answers(await worker.pushAll(100)), ['503 no_deployment'])
  assert.equal((await worker.modelCalls()).length, 1)
  assert.deepEqual([await worker.deadLetters(), await worker.record('doc-1')], [[], undefined])
  const { status, attempts, uncounted } = (await worker.record('doc-0')) ?? {}
  assert.deepEqual([status, attempts, uncounted], ['waiting', [], { no_deployment: 1 }])
  const [failure, ...others] = await worker.tokenFailures()
  assert.deepEqual(
    [failure?.deployment, failure?.code, failure?.kind, others],
    ['gpt-nowhere', 'DeploymentNotFound', 'configuration', []],
  )
  assert.match(failure?.hint ?? '', /^Create the deployment/)
  assert.match(worker.logText(), /"outcome":"circuit_opened".*"reason":"no_deployment".*Create the deployment/)
})

test('a deployment that Azure has not known for ten minutes: its jobs are dead-lettered with the fix, by one more request', async () => {
  await using worker = await startOnClock({ AZURE_OPENAI_DEPLOYMENT: 'gpt-nowhere' })
  await worker.push(aJob(0))
  worker.clock.aheadMs = 10 * MINUTE_MS
  assert.deepEqual(await worker.push(aJob(0)), { status: 204 })
  assert.deepEqual(answers(await worker.pushAll(20)), ['204'])
  assert.equal((await worker.modelCalls()).length, 2)
  const letters = await worker.deadLetters()
  const [letter] = letters
  assert.equal(letters.length, 21)
  assert.deepEqual(
    [letter?.attributes['pb-reason'], letter?.attributes['pb-code']],
    ['no_deployment', 'DeploymentNotFound'],
  )
  assert.match(letter?.attributes['pb-hint'] ?? '', /^Create the deployment/)
})

test('a deployment that appears within ten minutes serves every job that waited for it', async () => {
  await using worker = await startOnClock()
  await placeFault(cloud.azure, { kind: 'status', status: 404, body: { error: { code: 'DeploymentNotFound' } } })
  assert.deepEqual(answers(await worker.pushAll(10)), ['503 no_deployment'])
  await clearFaults(cloud.azure)
  worker.clock.aheadMs = 5 * MINUTE_MS
  assert.deepEqual(answers(await worker.pushAll(10)), ['204'])
  assert.ok((await worker.tokenFailures())[0]?.resolvedAt !== undefined)
  assert.deepEqual(await worker.deadLetters(), [])
})

describe('a deployment that says for how long it cannot serve requests', () => {
  test('is asked once, and not again before that: other jobs wait without a record', async () => {
    await using worker = await startOnClock()
    await placeFault(cloud.azure, { kind: 'status', error: 'unavailable', headers: { 'retry-after': '120' } })
    assert.deepEqual(await worker.push(aJob(0)), { status: 503, reason: 'unavailable' })
    assert.deepEqual(answers(await Promise.all([1, 2, 3].map((n) => worker.push(aJob(n))))), ['503 unavailable'])
    assert.deepEqual([(await worker.modelCalls()).length, await worker.record('doc-1')], [1, undefined])
    await clearFaults(cloud.azure)
    worker.clock.aheadMs = 150_000
    assert.deepEqual(answers(await worker.pushAll(4)), ['204'])
  })

  test('by a 500 within a minute of its answer to another job is asked on: the fault is the job’s own', async () => {
    await using worker = await startOnClock()
    assert.deepEqual(await worker.push(aJob(0)), { status: 204 })
    const headers = { 'retry-after': '120' }
    await placeFault(cloud.azure, { kind: 'status', error: 'server_error', headers, times: 1 })
    assert.deepEqual(await worker.push(aJob(1)), { status: 503, reason: 'ambiguous' })
    assert.deepEqual(await worker.push(aJob(2)), { status: 204 })
    const record = await worker.record('doc-1')
    assert.deepEqual([record?.attempts.map(({ outcome }) => outcome), record?.folded], [['unknown'], undefined])
  })
})
