import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { DEFAULT_DEPLOYMENT, startAzureOpenAI } from '../../local/azure-openai.ts'
import { azureAnswers, cloud, DONE, numbered, onWorker, type Scenario } from '../support/on-worker.ts'
import { callsOf, placeFault } from '../support/stand-ins.ts'

const { name: deployment, model } = DEFAULT_DEPLOYMENT

/** A second resource in another region, and a worker that asks it after the usual one. */
async function twoRegions(t: TestContext, firstEndpoint = cloud.azure.url) {
  const { keysUrl: tokenKeysUrl, caPem: tokenKeysCaPem } = cloud.entra
  const other = await startAzureOpenAI({ tokenKeysUrl, tokenKeysCaPem })
  t.after(() => other.close())
  const deployments = [
    { name: 'west', model, endpoint: other.url, deployment, priority: 2 },
    { name: 'east', model, endpoint: firstEndpoint, deployment },
  ]
  const settings: Scenario = {
    AZURE_OPENAI_ENDPOINT: undefined,
    AZURE_OPENAI_DEPLOYMENT: undefined,
    DEPLOYMENTS: JSON.stringify(deployments),
  }
  return { other, settings }
}

describe('a worker with deployments in two regions', () => {
  test('asks the one with the lower priority alone while it answers', async (t) => {
    const { other, settings } = await twoRegions(t)
    await onWorker(settings, async (worker) => {
      assert.deepEqual(await worker.push(numbered(0)), DONE)
      assert.equal((await worker.record('doc-0'))?.attempts[0]?.deployment, 'east')
      assert.equal((await callsOf(other)).length, 0)
    })
  })

  for (const [what, fault] of [
    ['has no quota', { status: 429, headers: { 'retry-after': '30' } }],
    ['refuses every token', { status: 401 }],
    ['denies the network', { status: 403 }],
    ['has no such deployment', { status: 404, body: { error: { code: 'DeploymentNotFound', message: '' } } }],
  ] as const) {
    test(`asks the other one in the same attempt when the first ${what}`, async (t) => {
      const { settings } = await twoRegions(t)
      await azureAnswers(fault)
      await onWorker(settings, async (worker) => {
        assert.deepEqual([await worker.push(numbered(0)), await worker.push(numbered(1))], [DONE, DONE])
        const { attempts = [], uncounted } = (await worker.record('doc-0')) ?? {}
        assert.deepEqual([attempts.map((each) => [each.deployment, each.n]), uncounted], [[['west', 1]], {}])
        assert.equal((await worker.record('doc-1'))?.attempts[0]?.deployment, 'west')
      })
    })
  }

  test('asks the other one when the first cannot be reached', async (t) => {
    const { settings } = await twoRegions(t, 'http://127.0.0.1:1')
    await onWorker(settings, async (worker) => {
      assert.deepEqual(await worker.push(numbered(0)), DONE)
      assert.equal((await worker.record('doc-0'))?.attempts[0]?.deployment, 'west')
    })
  })

  test('sends nothing to the other one in an attempt whose answer was lost, because it may have been billed', async (t) => {
    const { other, settings } = await twoRegions(t)
    await placeFault(cloud.azure, { kind: 'reset', after: 'half-body', times: 1 })
    await onWorker(settings, async (worker) => {
      await worker.push(numbered(0))
      assert.equal((await callsOf(other)).length, 0)
      const [attempt] = (await worker.record('doc-0'))?.attempts ?? []
      assert.deepEqual([attempt?.deployment, attempt?.outcome], ['east', 'unknown'])
    })
  })
})
