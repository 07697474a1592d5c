import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answersOf, deferred, numbered, onWorker, pushAll, type Scenario } from '../support/on-worker.ts'

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
    const reported = [failure?.deployment, failure?.code, failure?.kind, others]
    assert.deepEqual(reported, ['gpt-nowhere', 'DeploymentNotFound', 'configuration', []])
    assert.match(failure?.hint ?? '', /^Create the deployment/)
    assert.match(worker.logText(), /"outcome":"circuit_opened".*"reason":"no_deployment".*Create the deployment/)
  }))
