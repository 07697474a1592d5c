import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { z } from 'zod'
import { AZURE } from '../../local/identities.ts'
import { cloud, DONE, onWorker } from '../support/on-worker.ts'

const DOCUMENT = 'Bridges carry people over water. A bridge that carries no one over the water is only a sculpture.'
const messages = [{ role: 'user', content: DOCUMENT }]
const chat = (body = {}) => ({ id: 'doc-7', url: '/v1/chat/completions', body: { messages, ...body } })
const response = (body = {}) => ({ id: 'doc-7', url: '/v1/responses', body: { input: DOCUMENT, ...body } })
const model = AZURE.embeddingDeployment
const embedding = (body = {}) => ({ id: 'doc-7', url: '/v1/embeddings', body: { model, input: DOCUMENT, ...body } })

const entry = { endpoint: cloud.azure.url, model: AZURE.deployment, deployment: AZURE.deployment }
const DEPLOYMENTS = JSON.stringify([entry, { ...entry, model, deployment: model }])
const both = { DEPLOYMENTS, AZURE_OPENAI_ENDPOINT: '', AZURE_OPENAI_DEPLOYMENT: '' }

/** Runs one job, and returns its record, the answer in it, and how the model was called. */
async function run(job: object, OPENAI_API_VERSION?: string) {
  return await onWorker({ ...both, OPENAI_API_VERSION }, async (worker) => {
    assert.deepEqual(await worker.push(job), DONE)
    const record = await worker.record('doc-7')
    const [call, ...others] = await worker.modelCalls()
    assert.deepEqual(others, [])
    if (record?.status !== 'succeeded') return { record, call }
    const { finishReason, usage, result } = record
    const answer: unknown = result.in === 'record' ? JSON.parse(result.text) : undefined
    return { record, call, answer, figures: [finishReason, usage.promptTokens, usage.completionTokens] }
  })
}

const toolCalls = z.array(z.object({ function: z.object({ name: z.string(), arguments: z.string() }) }))
const chatMessage = z.object({ content: z.string().nullable(), tool_calls: toolCalls.optional() })
const chatAnswer = z.object({ choices: z.tuple([z.object({ message: chatMessage })]) })
const responseAnswer = z.object({
  output: z.tuple([
    z.union([
      z.object({ type: z.literal('message'), content: z.tuple([z.object({ text: z.string() })]) }),
      z.object({ type: z.literal('function_call'), name: z.string(), arguments: z.string() }),
    ]),
  ]),
})
const embeddingAnswer = z.object({ data: z.array(z.object({ embedding: z.array(z.number()) })) })

const saidInChat = (answer: unknown) => chatAnswer.parse(answer).choices[0].message.content ?? ''
function saidInResponse(answer: unknown): string {
  const [said] = responseAnswer.parse(answer).output
  return said.type === 'message' ? said.content[0].text : ''
}

for (const version of [undefined, '2025-04-01-preview']) {
  describe(`on ${version ?? 'the v1 API'}`, () => {
    const seen = (call: Awaited<ReturnType<typeof run>>['call']) => [call?.detail['apiVersion'], call?.operation]

    test('a chat completion is in the record with its usage and its finish reason', async () => {
      const { figures, answer, call } = await run(chat(), version)
      assert.deepEqual(figures, ['stop', 25, 25])
      assert.match(saidInChat(answer), /^Bridges carry people/)
      assert.deepEqual(seen(call), [version ?? 'v1', 'ChatCompletions_Create'])
    })

    test('a response is in the record in the same words', async () => {
      const { figures, answer, call } = await run(response(), version)
      assert.deepEqual(figures, ['stop', 25, 25])
      assert.match(saidInResponse(answer), /^Bridges carry people/)
      assert.deepEqual(seen(call), [version ?? 'v1', 'Responses_Create'])
    })

    test('embeddings are in the record, and cost their prompt alone', async () => {
      const { figures, answer, call } = await run(embedding({ dimensions: 8 }), version)
      assert.deepEqual(figures, ['stop', 25, 0])
      assert.equal(embeddingAnswer.parse(answer).data[0]?.embedding.length, 8)
      assert.deepEqual(seen(call), [version ?? 'v1', 'Embeddings_Create'])
    })
  })
}

test('an answer that met its limit is a success, flagged', async () => {
  assert.deepEqual((await run(chat({ max_completion_tokens: 3 }))).figures, ['length', 25, 3])
  assert.deepEqual((await run(response({ max_output_tokens: 16 }))).figures, ['length', 25, 16])
})

const schema = {
  type: 'object',
  properties: { summary: { type: 'string' }, pages: { type: 'integer' } },
  required: ['summary', 'pages'],
  additionalProperties: false,
}
const fitting = z.strictObject({ summary: z.string().startsWith('Bridges'), pages: z.int() })

test('the structured output of a chat completion and of a response fits its schema', async () => {
  const json_schema = { name: 'document', strict: true, schema }
  const inChat = await run(chat({ response_format: { type: 'json_schema', json_schema } }))
  fitting.parse(JSON.parse(saidInChat(inChat.answer)))
  const inResponse = await run(response({ text: { format: { type: 'json_schema', ...json_schema } } }))
  fitting.parse(JSON.parse(saidInResponse(inResponse.answer)))
  assert.deepEqual([inChat.figures?.[0], inResponse.figures?.[0]], ['stop', 'stop'])
})

test('a tool call of a chat completion is its finish reason', async () => {
  const tools = [{ type: 'function', function: { name: 'file', parameters: schema } }]
  const { figures, answer } = await run(chat({ tools, tool_choice: 'required' }))
  assert.equal(figures?.[0], 'tool_calls')
  const [call] = chatAnswer.parse(answer).choices[0].message.tool_calls ?? []
  assert.equal(call?.function.name, 'file')
  fitting.parse(JSON.parse(call.function.arguments))
})

test('a tool call of a response is in its output', async () => {
  const tools = [{ type: 'function', name: 'file', parameters: schema }]
  const { figures, answer } = await run(response({ tools, tool_choice: { type: 'function', name: 'file' } }))
  assert.equal(figures?.[0], 'stop')
  const [call] = responseAnswer.parse(answer).output
  assert.ok(call.type === 'function_call' && call.name === 'file')
  fitting.parse(JSON.parse(call.arguments))
})

describe('a job that its API version or its model cannot serve is dead-lettered with the fix, and not billed', () => {
  for (const [what, job, version, code, fix] of [
    ['a response on a version that has none', response(), '2024-10-21', 'BadRequest', /OPENAI_API_VERSION/],
    [
      ...(['embeddings of a model that chats', embedding({ model: AZURE.deployment }), undefined] as const),
      ...(['OperationNotSupported', /Name another model/] as const),
    ],
  ] as const) {
    test(what, async () => {
      const { record, call } = await run(job, version)
      assert.ok(record?.status === 'dead_lettered')
      assert.deepEqual([record.error.kind, record.error.code, call?.detail['billed']], ['rejected', code, false])
      assert.match(record.error.hint ?? '', fix)
    })
  }
})
