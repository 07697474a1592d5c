import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { z } from 'zod'
import { AZURE } from '../../local/identities.ts'
import { cloud, DONE, JOB, onWorker } from '../support/on-worker.ts'
import { longestAttributes } from '../support/served-worker.ts'
import { openWire } from '../support/wire.ts'

const { url, body } = JOB
const { messages } = body
const batchLine = { custom_id: 'doc-7', method: 'POST', url, body }

describe('a job', () => {
  test('that is a line of an OpenAI batch file is asked, and its answer is in the record', () =>
    onWorker({}, async (worker) => {
      assert.deepEqual(await worker.push({ ...batchLine, body: { model: AZURE.deployment, messages } }), DONE)
      const record = await worker.record('doc-7')
      assert.ok(record?.status === 'succeeded')
      assert.deepEqual([record.finishReason, record.usage], ['stop', { promptTokens: 13, completionTokens: 13 }])
      assert.match(record.result.in === 'record' ? record.result.text : '', /Bridges carry people over water/)
      const [attempt, ...others] = record.attempts
      assert.deepEqual(others, [])
      const { owner, startedAt, endedAt, requestId, ...details } = attempt ?? {}
      const deployment = { deployment: AZURE.deployment, model: AZURE.model, httpStatus: 200, usage: record.usage }
      assert.deepEqual(details, { run: 1, n: 1, outcome: 'succeeded', ...deployment })
      const [call] = await worker.modelCalls()
      assert.deepEqual([call?.detail['requestId'], call?.detail['billed']], [requestId, true])
      assert.equal(call?.detail['clientRequestId'], `${record.key}.1.1`)
      assert.deepEqual(await worker.deadLetters(), [])
    }))

  test('with fields of our own brings its batch and its metadata to the record', () =>
    onWorker({}, async (worker) => {
      const own = { id: 'doc-8', batch: 'nightly', deadline: '2999-01-01T00:00:00Z', metadata: { row: '7' } }
      assert.deepEqual(await worker.push({ ...own, url: '/chat/completions', body: { messages } }), DONE)
      const record = await worker.record('doc-8', 'nightly')
      assert.deepEqual([record?.status, record?.batch, record?.metadata], ['succeeded', 'nightly', { row: '7' }])
    }))

  test('that is a bare prompt is asked once, however often it is published', () =>
    onWorker({}, async (worker) => {
      assert.deepEqual(await worker.push({ prompt: 'Bridges carry people.' }), DONE)
      assert.deepEqual(await worker.push({ prompt: 'Bridges carry people.' }), DONE)
      assert.equal((await worker.modelCalls()).length, 1)
    }))

  test('comes unwrapped whole with as many and as long attributes as Pub/Sub allows', () =>
    onWorker({}, async (worker) => {
      const headers = { ...longestAttributes(99), 'x-goog-pubsub-message-id': '17', batch: 'n'.repeat(128) }
      assert.deepEqual(await worker.post(JSON.stringify(batchLine), headers), DONE)
      assert.equal((await worker.record('doc-7', 'n'.repeat(128)))?.status, 'succeeded')
    }))
})

const line = z.record(z.string(), z.unknown())

test('the log has a line for each delivery with its outcome and its ids', () =>
  onWorker({}, async (worker) => {
    const trace = '0af7651916cd43dd8448eb211c80319c'
    const attributes = { traceparent: `00-${trace}-b7ad6b7169203331-01` }
    await worker.push(batchLine, { attributes })
    const [first = ''] = worker.logText().split('\n')
    const { time, durationMs, messageId, jobKey, requestId, ...rest } = line.parse(JSON.parse(first))
    assert.deepEqual(rest, {
      ...{ severity: 'INFO', outcome: 'succeeded', message: 'job succeeded' },
      ...{ jobId: 'doc-7', batch: '', run: 1, attempt: 1, provider: 'azure-openai', deployment: AZURE.deployment },
      ...{ httpStatus: 200, promptTokens: 13, completionTokens: 13 },
      'logging.googleapis.com/trace': `projects/${cloud.env['GOOGLE_CLOUD_PROJECT']}/traces/${trace}`,
      'logging.googleapis.com/spanId': 'b7ad6b7169203331',
      'logging.googleapis.com/trace_sampled': true,
    })
  }))

test('fifty jobs, one after the other, need one connection to Azure', async () => {
  await using wire = await openWire(cloud.azure.url)
  await onWorker({ AZURE_OPENAI_ENDPOINT: wire.url }, async (worker) => {
    for (let n = 0; n < 50; n += 1) await worker.push({ ...batchLine, custom_id: `doc-${n}` })
    assert.equal((await worker.modelCalls()).length, 50)
    assert.equal(wire.connections(), 1)
  })
})
