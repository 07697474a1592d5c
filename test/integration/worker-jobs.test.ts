import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { z } from 'zod'
import { AZURE } from '../../local/identities.ts'
import { longestAttributes } from '../support/served-worker.ts'
import { startCloud } from '../support/stand-ins.ts'
import { openWire } from '../support/wire.ts'
import { startWorker } from '../support/worker.ts'

const DOCUMENT = 'Bridges carry people over water. A bridge that carries no one over the water is only a sculpture.'
const messages = [{ role: 'user', content: DOCUMENT }]
const batchLine = { custom_id: 'doc-7', method: 'POST', url: '/v1/chat/completions', body: { messages } }

const cloud = await startCloud()
after(() => cloud.close())

describe('a job', () => {
  test('that is a line of an OpenAI batch file is asked, and its answer is in the record', async () => {
    await using worker = await startWorker(cloud)
    assert.deepEqual(await worker.push({ ...batchLine, body: { model: AZURE.deployment, messages } }), { status: 204 })
    const record = await worker.record('doc-7')
    assert.ok(record?.status === 'succeeded')
    assert.deepEqual([record.finishReason, record.usage], ['stop', { promptTokens: 25, completionTokens: 25 }])
    assert.match(record.result.in === 'record' ? record.result.text : '', /Bridges carry people over water/)
    const [attempt, ...others] = record.attempts
    assert.deepEqual(others, [])
    const { owner, startedAt, endedAt, requestId, ...details } = attempt ?? {}
    assert.deepEqual(details, {
      run: 1,
      n: 1,
      outcome: 'succeeded',
      deployment: AZURE.deployment,
      httpStatus: 200,
      usage: record.usage,
    })
    const [call] = await worker.modelCalls()
    assert.deepEqual([call?.detail['requestId'], call?.detail['billed']], [requestId, true])
    assert.equal(call?.detail['clientRequestId'], `${record.key}.1.1`)
    assert.deepEqual(await worker.deadLetters(), [])
  })

  test('with fields of our own brings its batch and its metadata to the record', async () => {
    await using worker = await startWorker(cloud)
    const own = { id: 'doc-8', batch: 'nightly', deadline: '2999-01-01T00:00:00Z', metadata: { row: '7' } }
    assert.deepEqual(await worker.push({ ...own, url: '/chat/completions', body: { messages } }), { status: 204 })
    const record = await worker.record('doc-8', 'nightly')
    assert.deepEqual([record?.status, record?.batch, record?.metadata], ['succeeded', 'nightly', { row: '7' }])
  })

  test('that is a bare prompt is asked once, however often it is published', async () => {
    await using worker = await startWorker(cloud)
    assert.deepEqual(await worker.push({ prompt: DOCUMENT }), { status: 204 })
    assert.deepEqual(await worker.push({ prompt: DOCUMENT }), { status: 204 })
    assert.equal((await worker.modelCalls()).length, 1)
  })

  test('takes its batch from the attributes when it names none', async () => {
    await using worker = await startWorker(cloud)
    assert.deepEqual(await worker.push(batchLine, { attributes: { batch: 'nightly' } }), { status: 204 })
    assert.equal((await worker.record('doc-7', 'nightly'))?.status, 'succeeded')
  })

  test('is asked of the deployment that serves its model', async () => {
    const entry = { model: 'a-model', endpoint: cloud.azure.url, deployment: AZURE.deployment }
    const DEPLOYMENTS = JSON.stringify([{ ...entry, model: 'another', deployment: 'nowhere' }, entry])
    const settings = { DEPLOYMENTS, AZURE_OPENAI_ENDPOINT: '', AZURE_OPENAI_DEPLOYMENT: '' }
    await using worker = await startWorker(cloud, { settings })
    assert.deepEqual(await worker.push({ ...batchLine, body: { model: 'a-model', messages } }), { status: 204 })
    assert.equal((await worker.modelCalls())[0]?.detail['deployment'], AZURE.deployment)
  })

  test('comes unwrapped as well, with its metadata in headers', async () => {
    await using worker = await startWorker(cloud)
    const metadata = { 'x-goog-pubsub-message-id': '17', batch: 'nightly', 'pb-run': '1' }
    assert.deepEqual(await worker.post(JSON.stringify(batchLine), metadata), { status: 204 })
    assert.equal((await worker.record('doc-7', 'nightly'))?.status, 'succeeded')
  })

  test('comes unwrapped whole with as many and as long attributes as Pub/Sub allows', async () => {
    await using worker = await startWorker(cloud)
    const headers = { ...longestAttributes(99), 'x-goog-pubsub-message-id': '17', batch: 'n'.repeat(128) }
    assert.deepEqual(await worker.post(JSON.stringify(batchLine), headers), { status: 204 })
    assert.equal((await worker.record('doc-7', 'n'.repeat(128)))?.status, 'succeeded')
  })

  test('comes unwrapped without metadata, too', async () => {
    await using worker = await startWorker(cloud)
    assert.deepEqual(await worker.post(JSON.stringify(batchLine)), { status: 204 })
    assert.equal((await worker.record('doc-7'))?.status, 'succeeded')
  })

  test('comes wrapped after a byte order mark, and with null for what it lacks', async () => {
    await using worker = await startWorker(cloud)
    const data = Buffer.from(JSON.stringify(batchLine)).toString('base64')
    const envelope = { message: { data, attributes: null, messageId: null, publishTime: null }, deliveryAttempt: null }
    assert.deepEqual(await worker.post(`\ufeff${JSON.stringify(envelope)}`), { status: 204 })
    assert.equal((await worker.record('doc-7'))?.status, 'succeeded')
  })

  test('wrapped and unwrapped is the same job', async () => {
    await using worker = await startWorker(cloud)
    await worker.push(batchLine)
    await worker.post(JSON.stringify(batchLine))
    assert.equal((await worker.modelCalls()).length, 1)
  })
})

const line = z.record(z.string(), z.unknown())

test('the log has a line for each delivery with its outcome and its ids', async () => {
  await using worker = await startWorker(cloud)
  const trace = '0af7651916cd43dd8448eb211c80319c'
  const attributes = { traceparent: `00-${trace}-b7ad6b7169203331-01` }
  await worker.push(batchLine, { attributes })
  const [details] = worker
    .logText()
    .trim()
    .split('\n')
    .map((text) => line.parse(JSON.parse(text)))
  assert.ok(details)
  const { time, durationMs, messageId, jobKey, requestId, ...rest } = details
  assert.deepEqual(rest, {
    severity: 'INFO',
    jobId: 'doc-7',
    batch: '',
    run: 1,
    attempt: 1,
    deployment: AZURE.deployment,
    provider: 'azure-openai',
    httpStatus: 200,
    promptTokens: 25,
    completionTokens: 25,
    outcome: 'succeeded',
    message: 'job succeeded',
    'logging.googleapis.com/trace': `projects/${cloud.env['GOOGLE_CLOUD_PROJECT']}/traces/${trace}`,
    'logging.googleapis.com/spanId': 'b7ad6b7169203331',
    'logging.googleapis.com/trace_sampled': true,
  })
})

test('fifty jobs, one after the other, need one connection to Azure', async () => {
  await using wire = await openWire(cloud.azure.url)
  await using worker = await startWorker(cloud, { settings: { AZURE_OPENAI_ENDPOINT: wire.url } })
  for (let n = 0; n < 50; n += 1) await worker.push({ ...batchLine, custom_id: `doc-${n}` })
  assert.equal((await worker.modelCalls()).length, 50)
  assert.equal(wire.connections(), 1)
})
