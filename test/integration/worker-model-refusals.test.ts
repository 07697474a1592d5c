import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import type { AzureErrorName } from '../../local/fixtures/azure-errors.ts'
import { startRecordingModel } from '../support/recording-model.ts'
import { placeFault, startCloud } from '../support/stand-ins.ts'
import { startWorker } from '../support/worker.ts'

const cloud = await startCloud()
after(() => cloud.close())

const job = { id: 'doc-7', prompt: 'Bridges.' }

describe('an error of Azure that is about the set-up keeps the job waiting, as no attempt', () => {
  const errors: readonly (readonly [AzureErrorName, RegExp])[] = [
    ['network_rules', /Cloud NAT.*private endpoint/],
    ['virtual_network', /Cloud NAT.*private endpoint/],
    ['no_custom_subdomain', /custom subdomain/],
    ['no_resource_id', /custom subdomain/],
    ['data_action_missing', /missing: Microsoft\.CognitiveServices\/accounts\/OpenAI\/responses\/write/],
  ]
  for (const [error, hint] of errors) {
    test(error, async () => {
      await using worker = await startWorker(cloud)
      await placeFault(cloud.azure, { kind: 'status', error })
      assert.deepEqual(await worker.push(job), { status: 503, reason: 'forbidden' })
      const record = await worker.record('doc-7')
      assert.deepEqual([record?.status, record?.attempts, record?.uncounted], ['waiting', [], { forbidden: 1 }])
      assert.equal((await worker.modelCalls()).length, 1)
      assert.match((await worker.tokenFailures())[0]?.hint ?? '', hint)
      assert.match(worker.logText(), hint)
    })
  }

  test('a redirect, which is not followed: the prompt stays here', async () => {
    await using elsewhere = await startRecordingModel('{}')
    await using moved = await startRecordingModel('', 307, { location: `${elsewhere.url}/openai/v1/responses` })
    await using worker = await startWorker(cloud, { settings: { AZURE_OPENAI_ENDPOINT: moved.url } })
    assert.deepEqual(await worker.push(job), { status: 503, reason: 'forbidden' })
    const record = await worker.record('doc-7')
    assert.deepEqual([record?.status, record?.attempts, record?.uncounted], ['waiting', [], { forbidden: 1 }])
    assert.deepEqual([moved.requests.length, elsewhere.requests.length], [1, 0])
    assert.match(worker.logText(), new RegExp(`redirects to ${new URL(elsewhere.url).host}`))
  })
})

describe('an answer that says that Azure cannot serve now keeps the job waiting, as no attempt of its own', () => {
  for (const [status, headers] of [
    [409, { 'x-should-retry': 'true' }],
    [409, {}],
    [424, {}],
    [425, {}],
    [499, {}],
    [503, { 'x-should-retry': 'false' }],
    [400, { 'x-should-retry': 'true' }],
  ] as const) {
    test(`${status} ${JSON.stringify(headers)}`, async () => {
      await using worker = await startWorker(cloud)
      const body = { error: { code: 'conflict', message: 'canary' } }
      await placeFault(cloud.azure, { kind: 'status', status, headers, body })
      assert.deepEqual(await worker.push(job), { status: 503, reason: 'unavailable' })
      const record = await worker.record('doc-7')
      assert.deepEqual([record?.status, record?.attempts, record?.folded?.[0]?.n], ['waiting', [], 1])
      assert.equal((await worker.modelCalls()).length, 1)
      assert.deepEqual(await worker.deadLetters(), [])
      assert.doesNotMatch(JSON.stringify(record) + worker.logText(), /canary/)
    })
  }

  for (const headers of [
    { 'retry-after': '60' },
    { 'retry-after-ms': '60000' },
    { 'x-ms-retry-after-ms': '60000' },
    { 'retry-after': new Date(Date.now() + 120_000).toUTCString() },
  ]) {
    test(`for as long as its ${Object.keys(headers)} says: no delivery before asks again`, async () => {
      await using worker = await startWorker(cloud)
      await placeFault(cloud.azure, { kind: 'status', error: 'unavailable', headers })
      assert.deepEqual(await worker.push(job), { status: 503, reason: 'unavailable' })
      await worker.push(job)
      await worker.push(job)
      assert.equal((await worker.modelCalls()).length, 1)
      assert.equal((await worker.record('doc-7'))?.folded?.[0]?.n, 1)
    })
  }
})

describe('a dead letter names what is wrong with its request', () => {
  for (const [error, code, hint] of [
    ['unsupported_parameter', 'unsupported_parameter: max_tokens', /max_completion_tokens/],
    ['previous_response_not_found', 'previous_response_not_found', /previous_response_id/],
    ['invalid_body', 'invalid_request_error: messages', undefined],
  ] as const) {
    test(error, async () => {
      await using worker = await startWorker(cloud)
      await placeFault(cloud.azure, { kind: 'status', error })
      assert.deepEqual(await worker.push(job), { status: 204 })
      const [letter] = await worker.deadLetters()
      assert.deepEqual([letter?.attributes['pb-reason'], letter?.attributes['pb-code']], ['rejected', code])
      assert.match(letter?.attributes['pb-hint'] ?? '', hint ?? /^$/)
      assert.equal((await worker.modelCalls()).length, 1)
    })
  }
})

test('an address that Azure does not know is not reported as a missing deployment', async () => {
  await using worker = await startWorker(cloud)
  await placeFault(cloud.azure, { kind: 'status', error: 'invalid_url' })
  assert.deepEqual(await worker.push(job), { status: 503, reason: 'no_deployment' })
  assert.deepEqual((await worker.record('doc-7'))?.attempts, [])
})
