import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { z } from 'zod'
import { CONTENT_FILTER_MARKER } from '../../local/azure-openai/answer-call.ts'
import { AZURE } from '../../local/identities.ts'
import type { JobRecord } from '../../shared/job/record.ts'
import { startCloud } from '../support/stand-ins.ts'
import { startWorker } from '../support/worker.ts'

const DOCUMENT = 'Bridges carry people over water. A bridge that carries no one over the water is only a sculpture.'
const messages = [{ role: 'user', content: DOCUMENT }]
const chat = (body = {}) => ({ id: 'doc-7', url: '/v1/chat/completions', body: { messages, ...body } })
const response = (body = {}) => ({ id: 'doc-7', url: '/v1/responses', body: { input: DOCUMENT, ...body } })
const model = AZURE.embeddingDeployment
const embedding = (body = {}) => ({ id: 'doc-7', url: '/v1/embeddings', body: { model, input: DOCUMENT, ...body } })

const cloud = await startCloud()
after(() => cloud.close())

const entry = { endpoint: cloud.azure.url, model: AZURE.deployment, deployment: AZURE.deployment }
const DEPLOYMENTS = JSON.stringify([entry, { ...entry, model, deployment: model }])
const both = { DEPLOYMENTS, AZURE_OPENAI_ENDPOINT: '', AZURE_OPENAI_DEPLOYMENT: '' }

/** Runs one job, and returns its record, the answer in it, and how the model was called. */
async function run(job: object, settings: Readonly<Record<string, string | undefined>> = {}) {
  await using worker = await startWorker(cloud, { settings: { ...both, ...settings } })
  assert.deepEqual(await worker.push(job), { status: 204 })
  const record = await worker.record('doc-7')
  const [call, ...others] = await worker.modelCalls()
  assert.deepEqual(others, [])
  return { record, answer: answerIn(record), call }
}

function answerIn(record: JobRecord | undefined): unknown {
  if (record?.status !== 'succeeded') return undefined
  return record.result.in === 'record' ? JSON.parse(record.result.text) : undefined
}

const figuresOf = (record: JobRecord | undefined) =>
  record?.status === 'succeeded'
    ? [record.finishReason, record.usage.promptTokens, record.usage.completionTokens]
    : record

const chatAnswer = z.object({
  choices: z.tuple([
    z.object({
      message: z.object({
        content: z.string().nullable(),
        tool_calls: z.array(z.object({ function: z.object({ name: z.string(), arguments: z.string() }) })).optional(),
      }),
    }),
  ]),
})
const responseAnswer = z.object({
  output: z.tuple([
    z.union([
      z.object({ type: z.literal('message'), content: z.tuple([z.object({ text: z.string() })]) }),
      z.object({ type: z.literal('function_call'), name: z.string(), arguments: z.string() }),
    ]),
  ]),
})
const embeddingAnswer = z.object({
  data: z.array(z.object({ embedding: z.union([z.string(), z.array(z.number())]) })),
})

for (const OPENAI_API_VERSION of [undefined, '2025-04-01-preview']) {
  describe(`on ${OPENAI_API_VERSION ?? 'the v1 API'}`, () => {
    const settings = { OPENAI_API_VERSION }
    const apiVersion = OPENAI_API_VERSION ?? 'v1'

    test('a chat completion is in the record with its usage and its finish reason', async () => {
      const { record, answer, call } = await run(chat(), settings)
      assert.deepEqual(figuresOf(record), ['stop', 25, 25])
      assert.match(chatAnswer.parse(answer).choices[0].message.content ?? '', /^Bridges carry people/)
      assert.deepEqual([call?.detail['apiVersion'], call?.operation], [apiVersion, 'ChatCompletions_Create'])
    })

    test('a response is in the record in the same words', async () => {
      const { record, answer, call } = await run(response(), settings)
      assert.deepEqual(figuresOf(record), ['stop', 25, 25])
      const [said] = responseAnswer.parse(answer).output
      assert.match(said.type === 'message' ? said.content[0].text : '', /^Bridges carry people/)
      assert.deepEqual([call?.detail['apiVersion'], call?.operation], [apiVersion, 'Responses_Create'])
    })

    test('embeddings are in the record, and cost their prompt alone', async () => {
      const { record, answer, call } = await run(embedding({ dimensions: 8 }), settings)
      assert.deepEqual(figuresOf(record), ['stop', 25, 0])
      assert.equal(embeddingAnswer.parse(answer).data[0]?.embedding.length, 8)
      assert.deepEqual([call?.detail['apiVersion'], call?.operation], [apiVersion, 'Embeddings_Create'])
    })

    test('an answer that met its limit is a success, flagged', async () => {
      assert.deepEqual(figuresOf((await run(chat({ max_completion_tokens: 3 }), settings)).record), ['length', 25, 3])
      assert.deepEqual(figuresOf((await run(response({ max_output_tokens: 16 }), settings)).record), ['length', 25, 16])
    })

    test('a prompt that the filter stops is dead-lettered with the code', async () => {
      const input = `${DOCUMENT} ${CONTENT_FILTER_MARKER}`
      for (const job of [chat({ messages: [{ role: 'user', content: input }] }), response({ input })]) {
        const { record } = await run(job, settings)
        assert.ok(record?.status === 'dead_lettered')
        assert.deepEqual(
          [record.error.kind, record.error.code],
          ['rejected', 'content_filter/ResponsibleAIPolicyViolation'],
        )
      }
    })
  })
}

const schema = {
  type: 'object',
  properties: { summary: { type: 'string' }, pages: { type: 'integer' } },
  required: ['summary', 'pages'],
  additionalProperties: false,
}
const fitting = z.strictObject({ summary: z.string().startsWith('Bridges'), pages: z.int() })

describe('structured output', () => {
  test('of a chat completion fits its schema', async () => {
    const json_schema = { name: 'document', strict: true, schema }
    const { record, answer } = await run(chat({ response_format: { type: 'json_schema', json_schema } }))
    assert.equal(record?.status === 'succeeded' && record.finishReason, 'stop')
    fitting.parse(JSON.parse(chatAnswer.parse(answer).choices[0].message.content ?? ''))
  })

  test('of a response fits its schema', async () => {
    const format = { type: 'json_schema', name: 'document', strict: true, schema }
    const [said] = responseAnswer.parse((await run(response({ text: { format } }))).answer).output
    fitting.parse(JSON.parse(said.type === 'message' ? said.content[0].text : ''))
  })
})

describe('a tool call', () => {
  test('of a chat completion is its finish reason', async () => {
    const tools = [{ type: 'function', function: { name: 'file', parameters: schema } }]
    const { record, answer } = await run(chat({ tools, tool_choice: 'required' }))
    assert.equal(record?.status === 'succeeded' && record.finishReason, 'tool_calls')
    const [call] = chatAnswer.parse(answer).choices[0].message.tool_calls ?? []
    assert.equal(call?.function.name, 'file')
    fitting.parse(JSON.parse(call.function.arguments))
  })

  test('of a response is in its output', async () => {
    const tools = [{ type: 'function', name: 'file', parameters: schema }]
    const { record, answer } = await run(response({ tools, tool_choice: { type: 'function', name: 'file' } }))
    assert.equal(record?.status === 'succeeded' && record.finishReason, 'stop')
    const [call] = responseAnswer.parse(answer).output
    assert.ok(call.type === 'function_call' && call.name === 'file')
    fitting.parse(JSON.parse(call.arguments))
  })
})

describe('what does not go together is dead-lettered with how to fix it', () => {
  const cases = [
    ['a response on a version that has none', response(), '2024-10-21', 'rejected', 'BadRequest', /OPENAI_API_VERSION/],
    [
      'embeddings of a model that chats',
      embedding({ model: AZURE.deployment }),
      undefined,
      'rejected',
      'OperationNotSupported',
      /Name another model/,
    ],
    [
      'a chat with a model that embeds',
      chat({ model }),
      undefined,
      'rejected',
      'OperationNotSupported',
      /another model/,
    ],
  ] as const
  for (const [what, job, OPENAI_API_VERSION, kind, code, hint] of cases) {
    test(what, async () => {
      const { record, call } = await run(job, { OPENAI_API_VERSION })
      assert.ok(record?.status === 'dead_lettered')
      assert.deepEqual([record.error.kind, record.error.code], [kind, code])
      assert.match(record.error.hint ?? '', hint)
      assert.equal(call?.detail['billed'], false)
    })
  }
})

test('an API version that Azure does not know keeps the job waiting', async () => {
  await using worker = await startWorker(cloud, { settings: { OPENAI_API_VERSION: '1999-01-01' } })
  assert.deepEqual(await worker.push(chat()), { status: 503, reason: 'no_deployment' })
  assert.deepEqual((await worker.record('doc-7'))?.attempts, [])
})

test('a response that asks for more output tokens than are allowed is invalid before it costs anything', async () => {
  await using worker = await startWorker(cloud, { settings: { MAX_OUTPUT_TOKENS: '100' } })
  await worker.push(response({ max_output_tokens: 101 }))
  assert.equal((await worker.deadLetters())[0]?.attributes['pb-reason'], 'invalid')
  assert.deepEqual(await worker.modelCalls(), [])
})

test('without /v1 in its url a job is the same', async () => {
  for (const job of [chat(), response(), embedding()]) {
    const { record } = await run({ ...job, url: job.url.slice('/v1'.length) })
    assert.deepEqual([record?.status, record?.url], ['succeeded', job.url])
  }
})
