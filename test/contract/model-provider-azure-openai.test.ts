import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createAccessTokenSource } from '../../shared/identity/access-token-source.ts'
import { TokenError } from '../../shared/identity/token-error.ts'
import { MAX_ANSWER_BYTES } from '../../shared/models/azure-openai/answer-size.ts'
import { createAzureOpenAI } from '../../shared/models/azure-openai/azure-openai.ts'
import { createBearerProvider } from '../../shared/models/bearer-provider.ts'
import { aDeployment } from '../support/deployment-builders.ts'
import { startRecordingModel } from '../support/recording-model.ts'
import { describeModelProvider } from './model-provider-contract.ts'

const federation = { tenantId: 't', clientId: 'c', authorityHost: 'https://login.test', scope: 's', audience: 'a' }

function sourceOf(credential: { held: string } | 'absent') {
  return createAccessTokenSource({
    async fetchToken() {
      if (credential === 'absent') throw new TokenError('entra_exchange', 'Entra answered 503')
      return { value: credential.held, fetchedAt: Date.now(), expiresAt: Date.now() + 3_600_000 }
    },
    diagnose: () => ({ nature: 'configuration', hint: '' }),
    now: Date.now,
    random: () => 1,
  })
}

const job = {
  url: '/v1/chat/completions',
  body: { messages: [{ role: 'user', content: 'What is a bridge?' }] },
} as const
const answer = { choices: [{ finish_reason: 'stop', message: { content: 'A way over water.' } }] }

describeModelProvider('azure-openai', {
  open: (credential) =>
    createBearerProvider(sourceOf(credential), createAzureOpenAI({ apiVersion: undefined, federation, now: Date.now })),
  deploymentAt: (endpoint) => aDeployment({ endpoint }),
  job,
  answer: JSON.stringify(answer),
  headers: ['accept', 'authorization', 'content-type', 'user-agent', 'x-ms-client-request-id'],
  refusals: [
    { what: 'a refused token', status: 401, body: { code: '401' }, kind: 'unauthorized' },
    { what: 'a missing role', status: 401, body: { code: 'PermissionDenied' }, kind: 'forbidden' },
    { what: 'a missing deployment', status: 404, body: { code: 'DeploymentNotFound' }, kind: 'no_deployment' },
    { what: 'a bad request', status: 400, body: { code: 'invalid_value', message: 'no' }, kind: 'rejected' },
    { what: 'a used up quota', status: 429, body: { code: '429' }, headers: { 'retry-after': '7' }, kind: 'throttled' },
    { what: 'a server error', status: 500, body: { code: 'InternalServerError' }, kind: 'unavailable' },
    { what: 'an overloaded service', status: 503, kind: 'unavailable' },
  ],
  maxAnswerBytes: MAX_ANSWER_BYTES,
})

const LIMITS = { 'x-ratelimit-limit-tokens': '100000', 'x-ratelimit-remaining-tokens': '0' }

async function replyTo(body: object, status = 200, headers: Readonly<Record<string, string>> = {}) {
  await using model = await startRecordingModel(JSON.stringify(body), status, { ...LIMITS, ...headers })
  const ask = createAzureOpenAI({ apiVersion: undefined, federation, now: Date.now })
  const request = { job, deployment: aDeployment({ endpoint: model.url }), clientRequestId: 'key.1.1' }
  return await ask(request, 'token', new AbortController().signal)
}

/** What a reply says about the quota and the tier that served it. */
async function servedBy(body: object, status = 200) {
  const { rateLimit, serviceTier } = await replyTo(body, status)
  return { rateLimit, serviceTier }
}

describe('a reply of Azure OpenAI', () => {
  const rateLimit = { limitTokens: 100_000, remainingTokens: 0 }

  test('has the rate limit and the tier of an answer', async () => {
    assert.deepEqual(await servedBy({ ...answer, service_tier: 'flex' }), { rateLimit, serviceTier: 'flex' })
  })

  test('names the model that answered, and none if the answer has another format of it', async () => {
    const modelOf = async (model: unknown) => {
      const reply = await replyTo({ ...answer, model })
      return reply.ok ? reply.model : reply.failure
    }
    assert.equal(await modelOf('gpt-4o-mini-2024-07-18'), 'gpt-4o-mini-2024-07-18')
    for (const model of [undefined, '', 7, 'x'.repeat(201)]) assert.equal(await modelOf(model), undefined)
  })

  for (const tier of [undefined, null, 7, 'x'.repeat(41)]) {
    test(`has no tier if the answer says ${JSON.stringify(tier)?.slice(0, 9)}, and is kept`, async () => {
      assert.deepEqual(await servedBy({ ...answer, service_tier: tier }), { rateLimit, serviceTier: undefined })
    })
  }

  test('names the deployment that Azure asked by itself, of an answer and of a refusal', async () => {
    const spilled = { 'x-ms-spillover-from-deployment': 'gpt-ptu', 'x-ms-deployment-name': 'gpt-standard' }
    const answered = await replyTo(answer, 200, spilled)
    assert.deepEqual([answered.ok, answered.spilledTo], [true, 'gpt-standard'])
    const refused = await replyTo({ error: { code: '429' } }, 429, spilled)
    assert.equal(!refused.ok && refused.failure.spilledTo, 'gpt-standard')
    const own = await replyTo(answer, 200, { 'x-ms-deployment-name': 'gpt-ptu' })
    assert.equal('spilledTo' in own, false)
  })

  test('has the rate limit of a refusal and of an answer in another format', async () => {
    assert.deepEqual(await servedBy({ error: { code: '429' } }, 429), { rateLimit, serviceTier: undefined })
    assert.deepEqual(await servedBy({ answer: 42 }), { rateLimit, serviceTier: undefined })
  })
})
