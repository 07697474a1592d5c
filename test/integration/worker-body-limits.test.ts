import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { sha256 } from '../support/job-builders.ts'
import { startRecordingModel } from '../support/recording-model.ts'
import { startCloud } from '../support/stand-ins.ts'
import { startWorker } from '../support/worker.ts'

const cloud = await startCloud()
after(() => cloud.close())

const deployment = cloud.env['AZURE_OPENAI_DEPLOYMENT']
const jobText = (url: string, body: string) => `{"id":"doc-7","url":"${url}","body":${body}}`
const CHAT = '/v1/chat/completions'
const RESPONSES = '/v1/responses'
const mcp = '{"type":"mcp","server_label":"x","server_url":"https://evil.example"}'

describe('a job that would spend or reach more than is allowed is invalid, and Azure is not asked', () => {
  for (const [what, url, body, error] of [
    ['a cap in words', CHAT, '{"messages":[],"max_tokens":"5"}', /^body\.max_tokens: must be a whole number/],
    ['a cap below one', CHAT, '{"messages":[],"max_completion_tokens":-1}', /^body\.max_completion_tokens: must be/],
    ['two caps', CHAT, '{"messages":[],"max_tokens":5,"max_completion_tokens":50}', /differ; give one of them$/],
    ['a cap times its choices', CHAT, '{"messages":[],"max_tokens":26,"n":4}', /up to 104 output tokens; .* is 100$/],
    ['choices without a cap', CHAT, '{"messages":[],"n":101}', /up to 101 output tokens; .* is 100$/],
    ['a tool that reaches out', RESPONSES, `{"input":"x","tools":[${mcp}]}`, /not allowed here: tools\.mcp$/],
    [
      'an image to fetch',
      RESPONSES,
      '{"input":[{"content":[{"image_url":"http://x"}]}]}',
      /not allowed here: image_url$/,
    ],
    ['data of others', CHAT, '{"messages":[],"data_sources":[{}]}', /not allowed here: data_sources$/],
    ['a kept answer', RESPONSES, '{"input":"x","store":true}', /not allowed here: store$/],
    ['a dearer tier', CHAT, '{"messages":[],"service_tier":"priority"}', /not allowed here: service_tier\.priority$/],
  ] as const) {
    test(what, async () => {
      await using worker = await startWorker(cloud, { settings: { MAX_OUTPUT_TOKENS: '100' } })
      assert.deepEqual(await worker.push(jobText(url, body)), { status: 204 })
      const [letter] = await worker.deadLetters()
      assert.equal(letter?.attributes['pb-reason'], 'invalid')
      assert.match(letter?.attributes['pb-error'] ?? '', error)
      assert.deepEqual(await worker.modelCalls(), [])
    })
  }
})

test('what the operator has allowed by name is asked', async () => {
  await using model = await startRecordingModel('{}')
  const settings = { AZURE_OPENAI_ENDPOINT: model.url, ALLOW_BODY_FIELDS: 'tools.mcp,store' }
  await using worker = await startWorker(cloud, { settings })
  const members = `"input":"x","store":true,"tools":[${mcp}]`
  await worker.push(jobText(RESPONSES, `{${members}}`))
  assert.deepEqual(
    model.requests.map(({ body }) => body),
    [`{${members},"model":"${deployment}"}`],
  )
})

describe('a cap that the body lacks is set where the operator set a limit, and nothing else is changed', () => {
  const rest = '"seed":6150769120280496265,"stop":null,"n":3,"logit_bias":{"7":1E2}'
  for (const [on, url, apiVersion, field] of [
    ['chat completions on the v1 API', CHAT, undefined, 'max_completion_tokens'],
    ['chat completions on a new version', CHAT, '2024-12-01-preview', 'max_completion_tokens'],
    ['chat completions on a version that has no other field', CHAT, '2024-10-21', 'max_tokens'],
    ['responses', RESPONSES, undefined, 'max_output_tokens'],
  ] as const) {
    test(`${field} for ${on}`, async () => {
      await using model = await startRecordingModel('{}')
      const settings = { OPENAI_API_VERSION: apiVersion, MAX_OUTPUT_TOKENS: '100', ALLOW_BODY_FIELDS: 'other' }
      await using worker = await startWorker(cloud, { settings: { AZURE_OPENAI_ENDPOINT: model.url, ...settings } })
      const text = jobText(url, `{${rest}}`)
      await worker.push(text)
      assert.deepEqual(
        model.requests.map(({ body }) => body),
        [`{${rest},"${field}":33,"model":"${deployment}"}`],
      )
      assert.equal((await worker.record('doc-7'))?.payloadHash, Buffer.from(sha256(text)).toString('hex'))
    })
  }

  test('and the answer of a real request ends there', async () => {
    await using worker = await startWorker(cloud, { settings: { MAX_OUTPUT_TOKENS: '3' } })
    await worker.push(jobText(CHAT, '{"messages":[{"role":"user","content":"Bridges carry people over water."}]}'))
    const record = await worker.record('doc-7')
    assert.ok(record?.status === 'succeeded')
    assert.deepEqual([record.finishReason, record.usage.completionTokens], ['length', 3])
  })

  test('but not for embeddings, whose answers have no such tokens', async () => {
    await using model = await startRecordingModel('{}')
    await using worker = await startWorker(cloud, {
      settings: { AZURE_OPENAI_ENDPOINT: model.url, MAX_OUTPUT_TOKENS: '3' },
    })
    await worker.push(jobText('/v1/embeddings', '{"input":"x"}'))
    assert.deepEqual(
      model.requests.map(({ body }) => body),
      [`{"input":"x","model":"${deployment}"}`],
    )
  })
})

test('without a limit that the operator set, a body without a cap is sent as it is', async () => {
  await using model = await startRecordingModel('{}')
  await using worker = await startWorker(cloud, { settings: { AZURE_OPENAI_ENDPOINT: model.url } })
  await worker.push(jobText(CHAT, '{"messages":[]}'))
  assert.deepEqual(
    model.requests.map(({ body }) => body),
    [`{"messages":[],"model":"${deployment}"}`],
  )
})
