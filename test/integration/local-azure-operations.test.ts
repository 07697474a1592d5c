import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { AzureOpenAI } from 'openai'
import type { ResponseInput } from 'openai/resources/responses/responses'
import { DEFAULT_DEPLOYMENT, EMBEDDING_DEPLOYMENT } from '../../local/azure-openai.ts'
import { AZURE } from '../../local/identities.ts'
import { clientFor, failureOf, tokenFor } from '../support/azure-client.ts'
import { callsOf, placeFault, startCloud } from '../support/stand-ins.ts'

const DOCUMENT =
  'Bridges carry people over water. A bridge that carries no one over the water is only a sculpture. Paint it red.'

const now = Math.ceil(Date.now() / 60_000) * 60_000
const ASKED_ONCE = 'embeddings-once-a-minute'
const once = { ...EMBEDDING_DEPLOYMENT, name: ASKED_ONCE, requestsPerMinute: 1 }
const deployments = [DEFAULT_DEPLOYMENT, EMBEDDING_DEPLOYMENT, once]
const cloud = await startCloud({ dependencies: { now: () => now }, azure: { deployments } })
after(() => cloud.close())
const token = await tokenFor(cloud)
const client = clientFor(cloud, token)

/** OpenAI's own client for dated versions. */
const dated = (apiVersion: string) =>
  new AzureOpenAI({ endpoint: cloud.azure.url, apiVersion, azureADTokenProvider: async () => token, maxRetries: 0 })

const post = (path: string, authorization = `Bearer ${token}`) =>
  fetch(`${cloud.azure.url}/openai${path}`, { method: 'POST', headers: { authorization }, body: '{}' })

const chat = { model: AZURE.deployment, messages: [{ role: 'user', content: DOCUMENT } as const] }
const response = { model: AZURE.deployment, input: DOCUMENT }
const embedding = { model: AZURE.embeddingDeployment, input: DOCUMENT }
const NOT_FOUND = { error: { code: '404', message: 'Resource not found' } }

describe('a response', () => {
  test("is read by OpenAI's own client", async () => {
    const { status, output_text, usage } = await client.responses.create(response)
    assert.equal(status, 'completed')
    assert.match(output_text, /^Bridges carry people over water\./)
    assert.deepEqual([usage?.input_tokens, usage?.total_tokens], [28, 28 + (usage?.output_tokens ?? 0)])
  })

  test('counts its instructions, and works on the last of what the user said', async () => {
    const input: ResponseInput = [
      { role: 'user', content: 'No one asks for this sentence any more.' },
      { role: 'user', content: [{ type: 'input_text', text: DOCUMENT }] },
    ]
    const { output_text, usage } = await client.responses.create({ ...response, input, instructions: 'Be brief.' })
    assert.match(output_text, /^Bridges/)
    assert.equal(usage?.input_tokens, Math.ceil((9 + 1 + 39 + 1 + DOCUMENT.length) / 4))
  })

  test('that meets max_output_tokens is incomplete, and says why', async () => {
    const cut = await client.responses.create({ ...response, max_output_tokens: 16 })
    const seen = [cut.status, cut.incomplete_details?.reason, cut.usage?.output_tokens]
    assert.deepEqual(seen, ['incomplete', 'max_output_tokens', 16])
  })

  test('takes no fewer than 16 output tokens', async () => {
    const error = await failureOf(client.responses.create({ ...response, max_output_tokens: 15 }))
    assert.deepEqual([error.status, error.param], [400, 'max_output_tokens'])
  })
})

describe('embeddings', () => {
  const vectorOf = async (input: string, more = {}) => {
    const { data } = await client.embeddings.create({ ...embedding, input, encoding_format: 'float', ...more })
    return data[0]?.embedding ?? []
  }
  const product = (a: readonly number[], b: readonly number[]) => a.reduce((sum, x, at) => sum + x * (b[at] ?? 0), 0)

  test('are the same for the same text, of length 1, and closer the more words two texts share', async () => {
    const one = await vectorOf('bridges over water')
    assert.deepEqual(await vectorOf('Bridges over water!'), one)
    assert.equal(one.length, 1_536)
    assert.ok(Math.abs(product(one, one) - 1) < 1e-6)
    const near = product(one, await vectorOf('bridges over land'))
    const far = product(one, await vectorOf('invoices from yesterday'))
    assert.ok(near > 0.5 && far < 0.5, `${near} and ${far}`)
  })

  test('have as many dimensions as are asked for, up to their own', async () => {
    assert.equal((await vectorOf(DOCUMENT, { dimensions: 3 })).length, 3)
    const error = await failureOf(vectorOf(DOCUMENT, { dimensions: 1_537 }))
    assert.deepEqual([error.status, error.param], [400, 'dimensions'])
  })

  test('in base64 are the same numbers', async () => {
    // The client asks for base64 by itself, and reads it.
    const { data, usage } = await client.embeddings.create({ ...embedding, input: [DOCUMENT, 'Hello.'] })
    assert.equal(data.length, 2)
    assert.deepEqual([...(data[0]?.embedding ?? [])], await vectorOf(DOCUMENT))
    assert.deepEqual([usage.prompt_tokens, usage.total_tokens], [30, 30])
  })

  test('are made of tokens as well', async () => {
    const { data } = await client.embeddings.create({ ...embedding, input: [[1, 2], [3]] })
    assert.equal(data.length, 2)
  })

  test('are charged to the quota of their deployment, and refused by their own name', async () => {
    const asked = { ...embedding, model: ASKED_ONCE }
    await client.embeddings.create(asked)
    const { status, message } = await failureOf(client.embeddings.create(asked))
    assert.equal(status, 429)
    assert.match(message, /Embeddings_Create Operation under Azure OpenAI API version v1 have exceeded call rate limit/)
  })
})

describe('a dated API version', () => {
  test("is served to OpenAI's own client for it", async () => {
    const azure = dated('2025-03-01-preview')
    assert.equal((await azure.chat.completions.create(chat)).choices[0]?.finish_reason, 'stop')
    assert.equal((await azure.responses.create(response)).status, 'completed')
    const calls = await callsOf(cloud.azure)
    assert.deepEqual(
      calls.slice(-2).map(({ operation, detail }) => [operation, detail['apiVersion'], detail['deployment']]),
      [
        ['ChatCompletions_Create', '2025-03-01-preview', AZURE.deployment],
        ['Responses_Create', '2025-03-01-preview', AZURE.deployment],
      ],
    )
  })

  test('asks the deployment that the address names, whatever the body says', async () => {
    const error = await failureOf(dated('2024-10-21').embeddings.create({ ...embedding, model: AZURE.deployment }))
    assert.deepEqual([error.status, error.code], [400, 'OperationNotSupported'])
  })

  test('that is missing or unknown is an address that is not there', async () => {
    for (const path of [
      `/deployments/${AZURE.deployment}/chat/completions`,
      `/deployments/${AZURE.deployment}/chat/completions?api-version=1999-01-01`,
      `/deployments/${AZURE.deployment}/responses?api-version=2025-03-01-preview`,
      '/responses',
      '/chat/completions?api-version=2024-10-21',
    ]) {
      const answer = await post(path)
      assert.deepEqual([answer.status, await answer.json()], [404, NOT_FOUND], path)
    }
  })

  test('before responses were there says from when on they are', async () => {
    const error = await failureOf(dated('2025-01-01-preview').responses.create(response))
    assert.deepEqual([error.status, error.code], [400, 'BadRequest'])
    assert.match(error.message, /enabled only for api-version 2025-03-01-preview and later/)
  })

  test('is refused on the v1 API', async () => {
    const answer = await post('/v1/chat/completions?api-version=2024-10-21')
    assert.equal(answer.status, 400)
    assert.match(await answer.text(), /api-version query parameter is not allowed/)
  })

  test('checks the token, and meets faults, like the v1 API', async () => {
    const path = '/responses?api-version=2025-03-01-preview'
    assert.equal((await post(path, 'Bearer none')).status, 401)
    await placeFault(cloud.azure, { kind: 'status', error: 'server_error', match: '/responses', times: 1 })
    assert.equal((await post(path)).status, 500)
    assert.equal((await post(path)).status, 400)
  })
})
