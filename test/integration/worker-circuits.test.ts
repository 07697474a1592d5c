import assert from 'node:assert/strict'
import { test } from 'node:test'
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
import { clearFaults, placeFault } from '../support/stand-ins.ts'

const MINUTE_MS = 60_000

/** Every wait after a failure is as long as can be. */
const LATE: Scenario = { dependencies: { random: () => 1 } }

test('a deployment that Azure does not know: one request, jobs that wait, and the fix in the telemetry and the log', () =>
  onWorker({ ...LATE, AZURE_OPENAI_DEPLOYMENT: 'gpt-nowhere' }, async (worker) => {
    assert.deepEqual(await worker.push(numbered(0)), deferred('no_deployment'))
    assert.deepEqual(answersOf(await pushAll(worker, 100)), ['503 no_deployment'])
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
  }))

test('a deployment that Azure has not known for ten minutes: its jobs are dead-lettered with the fix, by one more request', () =>
  onWorker({ ...LATE, AZURE_OPENAI_DEPLOYMENT: 'gpt-nowhere' }, async (worker) => {
    await worker.push(numbered(0))
    worker.clock.aheadMs = 10 * MINUTE_MS
    assert.deepEqual(await worker.push(numbered(0)), DONE)
    assert.deepEqual(answersOf(await pushAll(worker, 20)), ['204'])
    assert.equal((await worker.modelCalls()).length, 2)
    const letters = await worker.deadLetters()
    const [letter] = letters
    assert.equal(letters.length, 21)
    assert.deepEqual(
      [letter?.attributes['pb-reason'], letter?.attributes['pb-code']],
      ['no_deployment', 'DeploymentNotFound'],
    )
    assert.match(letter?.attributes['pb-hint'] ?? '', /^Create the deployment/)
  }))

test('a deployment that appears within ten minutes serves every job that waited for it', () =>
  onWorker(LATE, async (worker) => {
    await placeFault(cloud.azure, { kind: 'status', status: 404, body: { error: { code: 'DeploymentNotFound' } } })
    assert.deepEqual(answersOf(await pushAll(worker, 10)), ['503 no_deployment'])
    await clearFaults(cloud.azure)
    worker.clock.aheadMs = 5 * MINUTE_MS
    assert.deepEqual(answersOf(await pushAll(worker, 10)), ['204'])
    assert.ok((await worker.tokenFailures())[0]?.resolvedAt !== undefined)
    assert.deepEqual(await worker.deadLetters(), [])
  }))

test('a deployment that says for how long it cannot serve requests is asked once until then: other jobs wait without a record', () =>
  onWorker(LATE, async (worker) => {
    await azureAnswers({ error: 'unavailable', headers: { 'retry-after': '120' } })
    assert.deepEqual(await worker.push(numbered(0)), deferred('unavailable'))
    assert.deepEqual(answersOf(await pushAll(worker, 3, 1)), ['503 unavailable'])
    assert.deepEqual([(await worker.modelCalls()).length, await worker.record('doc-1')], [1, undefined])
    await clearFaults(cloud.azure)
    worker.clock.aheadMs = 150_000
    assert.deepEqual(answersOf(await pushAll(worker, 4)), ['204'])
  }))
