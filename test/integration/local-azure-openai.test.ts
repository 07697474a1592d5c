import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Compute } from 'google-auth-library'
import { decodeJwt } from 'jose'
import { CONTENT_FILTER_MARKER } from '../../local/azure-openai/answer-call.ts'
import { DEFAULT_DEPLOYMENT } from '../../local/azure-openai.ts'
import { AZURE } from '../../local/identities.ts'
import { createSigningKey } from '../../local/signing-key.ts'
import { clientFor, failureOf, startWithClient, tokenFor } from '../support/azure-client.ts'
import { callsOf, openWatchedLog } from '../support/stand-ins.ts'

const DOCUMENT =
  'Bridges carry people over water. A bridge that carries no one over the water is only a sculpture. Paint it red.'

const ask = (content: string, more: { model?: string; max_tokens?: number } = {}) => ({
  model: AZURE.deployment,
  messages: [{ role: 'user', content } as const],
  ...more,
})

test("OpenAI's own client completes a chat with a federated token", async () => {
  await using on = await startWithClient()
  const { data, response } = await on.client.chat.completions.create(ask(DOCUMENT)).withResponse()
  assert.equal(data.choices[0]?.finish_reason, 'stop')
  assert.match(data.choices[0]?.message.content ?? '', /^Bridges carry people over water\./)
  assert.equal(data.model, AZURE.model)
  assert.equal(data.usage?.total_tokens, (data.usage?.prompt_tokens ?? 0) + (data.usage?.completion_tokens ?? 0))
  assert.equal(data.usage?.prompt_tokens, Math.ceil(DOCUMENT.length / 4))
  assert.ok(response.headers.get('apim-request-id'))
  assert.equal(response.headers.get('x-ratelimit-remaining-requests'), '9999')
})

test('the log records who was billed for what, by the ids of both sides', async () => {
  await using on = await startWithClient()
  const headers = { 'x-ms-client-request-id': 'doc-7/1' }
  const { response } = await on.client.chat.completions.create(ask(DOCUMENT), { headers }).withResponse()
  const [call] = await callsOf(on.cloud.azure)
  assert.deepEqual([call?.service, call?.operation, call?.status], ['azure-openai', 'ChatCompletions_Create', 200])
  assert.deepEqual(call?.detail, {
    billed: true,
    apiVersion: 'v1',
    clientRequestId: 'doc-7/1',
    requestId: response.headers.get('apim-request-id'),
    deployment: AZURE.deployment,
    promptTokens: 28,
    completionTokens: 25,
    finish: 'stop',
  })
  assert.equal(response.headers.get('x-ms-client-request-id'), 'doc-7/1')
})

test('no token, a forged one, one for another resource and another issuer are refused alike', async () => {
  await using on = await startWithClient()
  const forger = await createSigningKey()
  const claims = decodeJwt(await tokenFor(on.cloud))
  const forged = await forger.sign(claims)
  const idToken = await new Compute().fetchIdToken(AZURE.resource)
  for (const token of ['none', forged, idToken]) {
    const error = await failureOf(clientFor(on.cloud, token).chat.completions.create(ask('Hello.')))
    assert.equal(error.status, 401)
    // The gateway's body has no `error` in it, and so the client's error has no code.
    assert.equal(error.code, undefined)
  }
  const missing = await fetch(`${on.cloud.azure.url}/openai/v1/chat/completions`, { method: 'POST', body: '{}' })
  assert.deepEqual(await missing.json(), {
    statusCode: 401,
    message:
      'Unauthorized. Access token is missing, invalid, audience is incorrect (https://cognitiveservices.azure.com), or have expired.',
  })
})

test('a token is refused from the very second of its exp', async () => {
  let later = 0
  const start = Math.floor(Date.now() / 1_000) * 1_000
  const dependencies = { now: () => start + later }
  await using on = await startWithClient({ dependencies, entra: { tokenLifetimeSeconds: 600 } })
  later = 599_999
  await on.client.chat.completions.create(ask(DOCUMENT))
  later = 600_000
  assert.equal((await failureOf(on.client.chat.completions.create(ask(DOCUMENT)))).status, 401)
})

for (const [what, azure, more, status, code] of [
  ['a principal without a role', { principals: [] }, {}, 401, 'PermissionDenied'],
  [
    'a token of another tenant than the resource has',
    { tenantId: 'another' },
    {},
    400,
    'Tenant provided in token does not match resource token',
  ],
  ['an unknown deployment', {}, { model: 'gpt-nowhere' }, 404, 'DeploymentNotFound'],
] as const) {
  test(`${what} is refused with ${status} ${code}`, async () => {
    await using on = await startWithClient({ azure })
    const error = await failureOf(on.client.chat.completions.create(ask(DOCUMENT, more)))
    assert.deepEqual([error.status, error.code], [status, code])
  })
}

test('the deployment is looked at before the body', async () => {
  await using on = await startWithClient()
  const answers = [AZURE.deployment, AZURE.embeddingDeployment, 'gpt-nowhere'].map(async (model) => {
    const { status, code } = await failureOf(on.client.chat.completions.create({ model, messages: [] }))
    return [status, code]
  })
  assert.deepEqual(await Promise.all(answers), [
    [400, null],
    [400, 'OperationNotSupported'],
    [404, 'DeploymentNotFound'],
  ])
})

test('a prompt of one token more than the context window is refused, and not billed', async () => {
  const deployments = [{ ...DEFAULT_DEPLOYMENT, contextWindow: 100 }]
  await using on = await startWithClient({ azure: { deployments } })
  await on.client.chat.completions.create(ask('a'.repeat(400)))
  const error = await failureOf(on.client.chat.completions.create(ask('a'.repeat(401))))
  assert.deepEqual([error.status, error.code], [400, 'context_length_exceeded'])
  const [, refused] = await callsOf(on.cloud.azure)
  assert.equal(refused?.detail['billed'], false)
})

test('the content filter stops a prompt with the marker, names the category, and the prompt is billed', async () => {
  await using on = await startWithClient()
  const error = await failureOf(on.client.chat.completions.create(ask(`Please ${CONTENT_FILTER_MARKER} now.`)))
  assert.deepEqual([error.status, error.code], [400, 'content_filter'])
  assert.match(JSON.stringify(error.error), /"code":"ResponsibleAIPolicyViolation".*"violence":{"filtered":true/)
  const [call] = await callsOf(on.cloud.azure)
  assert.deepEqual([call?.detail['billed'], call?.detail['error']], [true, 'content_filter'])
})

test('documented limits charge every choice on arrival, and refuse by quota and by capacity in different words', async () => {
  const start = Math.floor(Date.now() / 60_000) * 60_000
  let later = 0
  const noCapacity = [{ from: start + 60_000, until: start + 61_000 }]
  const documentedLimits = () => ({ refusedUseQuota: true, lowered: [], noCapacity })
  const deployments = [{ ...DEFAULT_DEPLOYMENT, tokensPerMinute: 1_000 }]
  const dependencies = { now: () => start + later }
  await using on = await startWithClient({ dependencies, azure: { deployments, documentedLimits } })
  const asked = { ...ask('Hello.', { max_tokens: 300 }), n: 3 }
  const { response } = await on.client.chat.completions.create(asked).withResponse()
  assert.equal(response.headers.get('x-ratelimit-remaining-tokens'), '98')
  later = 58_000
  const overQuota = await failureOf(on.client.chat.completions.create(asked))
  assert.match(overQuota.message, /exceeded token rate limit .* Please retry after 2 seconds/)
  assert.equal(overQuota.headers?.get('retry-after-ms'), '2000')
  later = 60_500
  const overCapacity = await failureOf(on.client.chat.completions.create(asked))
  assert.match(overCapacity.message, /experiencing high demand .* Please retry after 20 seconds/)
})

test('an answer takes its base time and its tokens, more or less by the spread', async () => {
  const waits: number[] = []
  const dependencies = {
    random: () => 0.75,
    wait: async (ms: number) => {
      waits.push(ms)
    },
  }
  const latency = { baseMs: 100, perOutputTokenMs: 10, spread: 0.2 }
  await using on = await startWithClient({ dependencies, azure: { latency } })
  await on.client.chat.completions.create(ask(DOCUMENT, { max_tokens: 10 }))
  assert.deepEqual(waits, [220])
})

test('a caller who goes away while the model works is billed all the same', async () => {
  const log = await openWatchedLog()
  const working = Promise.withResolvers<void>()
  const done = Promise.withResolvers<void>()
  const wait = () => {
    working.resolve()
    return done.promise
  }
  const azure = { log, latency: { baseMs: 1_000 }, dependencies: { wait } }
  await using on = await startWithClient({ azure })
  const leaving = new AbortController()
  const call = on.client.chat.completions.create(ask(DOCUMENT), { signal: leaving.signal })
  await working.promise
  leaving.abort()
  await assert.rejects(call)
  const recorded = log.recorded()
  done.resolve()
  const { detail } = await recorded
  assert.deepEqual([detail['billed'], detail['finish']], [true, 'stop'])
})

test('two hundred calls are open at once, and all are answered', async () => {
  const CALLS = 200
  let open = 0
  const all = Promise.withResolvers<void>()
  const wait = () => {
    open += 1
    if (open === CALLS) all.resolve()
    return all.promise
  }
  await using on = await startWithClient({ azure: { latency: { baseMs: 1 }, dependencies: { wait } } })
  const calls = Array.from({ length: CALLS }, () => on.client.chat.completions.create(ask(DOCUMENT)))
  const answers = await Promise.all(calls)
  assert.equal(answers.filter(({ choices }) => choices[0]?.finish_reason === 'stop').length, CALLS)
})
