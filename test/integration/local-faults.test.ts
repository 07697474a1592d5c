import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { AZURE, ENTRA, GOOGLE } from '../../local/identities.ts'
import { type Cloud, callsOf, clearFaults, openWatchedLog, placeFault, startCloud } from '../support/stand-ins.ts'

const PROJECT = '/computeMetadata/v1/project/project-id'

const getProject = (cloud: Cloud, signal?: AbortSignal) =>
  fetch(cloud.metadata.url + PROJECT, { headers: { 'metadata-flavor': 'Google' }, ...(signal && { signal }) })

/** One paid call, over plain HTTP so that what the wire does is seen as it is. */
async function askModel(cloud: Cloud, token: string, id = 'doc-7/1'): Promise<Response> {
  return fetch(`${cloud.azure.url}/openai/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'x-ms-client-request-id': id },
    body: JSON.stringify({
      model: AZURE.deployment,
      messages: [{ role: 'user', content: 'A bridge carries people over the water.' }],
    }),
  })
}

async function tokenFor(cloud: Cloud): Promise<string> {
  const identity = `${cloud.metadata.url}/computeMetadata/v1/instance/service-accounts/default/identity`
  const assertion = await fetch(`${identity}?audience=${ENTRA.assertionAudience}`, {
    headers: { 'metadata-flavor': 'Google' },
  })
  const answer = await fetch(`${cloud.entra.url}/${ENTRA.tenantId}/oauth2/v2.0/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: ENTRA.clientId,
      scope: AZURE.scope,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: await assertion.text(),
    }),
  })
  return z.object({ access_token: z.string() }).parse(await answer.json()).access_token
}

test('a status fault answers with the status, headers and body asked for', async () => {
  await using cloud = await startCloud()
  const headers = { 'retry-after': '3' }
  await placeFault(cloud.metadata, { kind: 'status', status: 503, headers, body: { busy: true }, times: 1 })
  const answer = await getProject(cloud)
  assert.deepEqual([answer.status, answer.headers.get('retry-after')], [503, '3'])
  assert.deepEqual(await answer.json(), { busy: true })
  assert.equal((await getProject(cloud)).status, 200)
})

test('a named error is answered in the form of the service', async () => {
  await using cloud = await startCloud()
  await placeFault(cloud.azure, { kind: 'status', error: 'server_error' })
  const answer = await askModel(cloud, 'any')
  assert.equal(answer.status, 500)
  assert.match(await answer.text(), new RegExp(`request ID ${answer.headers.get('apim-request-id')}`))
})

test('garbage is a page of HTML with 200', async () => {
  await using cloud = await startCloud()
  await placeFault(cloud.azure, { kind: 'garbage' })
  const answer = await askModel(cloud, 'any')
  assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'text/html'])
  assert.match(await answer.text(), /^<!doctype html>/)
})

test('a hanging call is in the log as unanswered, and ends when the stand-in closes', async () => {
  const log = await openWatchedLog()
  const cloud = await startCloud({ metadata: { log } })
  await placeFault(cloud.metadata, { kind: 'hang', name: 'stuck' })
  const call = getProject(cloud)
  const { status, detail } = await log.recorded()
  assert.deepEqual([status, detail], [null, { fault: 'stuck' }])
  await cloud.close()
  await assert.rejects(call)
})

test('a hanging call ends when its caller gives up', async () => {
  const log = await openWatchedLog()
  await using cloud = await startCloud({ metadata: { log } })
  await placeFault(cloud.metadata, { kind: 'hang', times: 1 })
  const impatient = new AbortController()
  const call = getProject(cloud, impatient.signal)
  await log.recorded()
  impatient.abort()
  await assert.rejects(call, { name: 'AbortError' })
  assert.equal(await (await getProject(cloud)).text(), GOOGLE.projectId)
})

test('a delay makes a call wait, and then it is answered as usual', async () => {
  const waits: number[] = []
  const wait = async (ms: number) => {
    waits.push(ms)
  }
  await using cloud = await startCloud({ dependencies: { wait } })
  await placeFault(cloud.metadata, { kind: 'delay', ms: 1_500, times: 1 })
  assert.equal(await (await getProject(cloud)).text(), GOOGLE.projectId)
  assert.deepEqual(waits, [1_500])
  assert.equal((await callsOf(cloud.metadata))[0]?.detail['fault'], 'delay')
})

test('a reset before the answer leaves the caller with none, and the call unpaid', async () => {
  await using cloud = await startCloud()
  const token = await tokenFor(cloud)
  await placeFault(cloud.azure, { kind: 'reset', times: 1 })
  await assert.rejects(askModel(cloud, token))
  const [call] = await callsOf(cloud.azure)
  assert.deepEqual([call?.status, call?.detail['billed'], call?.detail['fault']], [null, false, 'reset after request'])
})

test('a reset before the answer that was billed leaves the caller with none, and the call paid', async () => {
  await using cloud = await startCloud()
  const token = await tokenFor(cloud)
  await placeFault(cloud.azure, { kind: 'reset', billed: true, times: 1 })
  await assert.rejects(askModel(cloud, token))
  const [call] = await callsOf(cloud.azure)
  assert.deepEqual([call?.status, call?.detail['billed'], call?.detail['finish']], [null, true, 'stop'])
})

test('a reset after the headers leaves a status without a body, and the call paid', async () => {
  await using cloud = await startCloud()
  const token = await tokenFor(cloud)
  await placeFault(cloud.azure, { kind: 'reset', after: 'headers', times: 1 })
  const answer = await askModel(cloud, token)
  assert.equal(answer.status, 200)
  await assert.rejects(answer.text())
  assert.equal((await callsOf(cloud.azure))[0]?.detail['billed'], true)
})

test('a reset after half of the body leaves half of the body, and the call paid', async () => {
  await using cloud = await startCloud()
  const token = await tokenFor(cloud)
  await placeFault(cloud.azure, { kind: 'reset', after: 'half-body', times: 1 })
  const answer = await askModel(cloud, token)
  const reader = answer.body?.getReader()
  const { value } = (await reader?.read()) ?? {}
  const length = Number(answer.headers.get('content-length'))
  assert.equal(value?.length, Math.floor(length / 2))
  await assert.rejects(async () => reader?.read())
  assert.equal((await callsOf(cloud.azure))[0]?.detail['billed'], true)
})

test('resets work under TLS too', async () => {
  await using cloud = await startCloud()
  const keys = cloud.entra.keysUrl
  await placeFault(cloud.entra, { kind: 'reset', match: '/keys', times: 1 })
  await assert.rejects(fetch(keys))
  await placeFault(cloud.entra, { kind: 'reset', after: 'half-body', match: '/keys', times: 1 })
  await assert.rejects((await fetch(keys)).json())
  assert.equal((await fetch(keys)).status, 200)
})

test('a billed 503 is paid, and its answer is lost', async () => {
  await using cloud = await startCloud()
  const token = await tokenFor(cloud)
  await placeFault(cloud.azure, { kind: 'status', error: 'unavailable', billed: true, times: 1 })
  assert.equal((await askModel(cloud, token)).status, 503)
  const [call] = await callsOf(cloud.azure)
  assert.deepEqual([call?.status, call?.detail['billed'], call?.detail['fault']], [503, true, 'unavailable'])
})

test('a billed delay is in the log before the caller has the answer', async () => {
  const log = await openWatchedLog()
  const released = Promise.withResolvers<void>()
  const azure = { log, dependencies: { wait: () => released.promise } }
  await using cloud = await startCloud({ azure })
  const token = await tokenFor(cloud)
  await placeFault(cloud.azure, { kind: 'delay', ms: 5_000, billed: true, times: 1 })
  const call = askModel(cloud, token)
  assert.equal((await log.recorded()).detail['billed'], true)
  released.resolve()
  assert.equal((await call).status, 200)
})

test('a fault for one job leaves the others alone', async () => {
  await using cloud = await startCloud()
  const token = await tokenFor(cloud)
  await placeFault(cloud.azure, { kind: 'status', status: 500, job: 'doc-7/' })
  assert.equal((await askModel(cloud, token, 'doc-8/1')).status, 200)
  assert.equal((await askModel(cloud, token, 'doc-7/2')).status, 500)
})

test('cleared faults strike no more', async () => {
  await using cloud = await startCloud()
  await placeFault(cloud.metadata, { kind: 'garbage' })
  await clearFaults(cloud.metadata)
  assert.equal(await (await getProject(cloud)).text(), GOOGLE.projectId)
})

test('a misused fault is answered with 400 and what is wrong', async () => {
  await using cloud = await startCloud()
  const cases = [
    ['', /expected object/],
    ['{"kind":"explode"}', /kind/],
    ['{"kind":"status"}', /give either status/],
    ['{"kind":"status","status":503,"error":"timeout"}', /give either status/],
    ['{"kind":"status","error":"nonsense"}', /no error fixture "nonsense"; there are: unauthorized, .*server_error/],
    ['{"kind":"delay"}', /ms/],
    ['{"kind":"hang","tmies":3}', /tmies/],
    ['{"kind":"reset","after":"headers","billed":false}', /billed cannot be false/],
  ] as const
  for (const [body, problem] of cases) {
    const answer = await fetch(`${cloud.azure.url}/__faults`, { method: 'POST', body })
    assert.equal(answer.status, 400)
    const { error } = z.object({ error: z.string() }).parse(await answer.json())
    assert.match(error, problem)
  }
})

test('the call log pages by id and by time', async () => {
  let now = 1_000
  await using cloud = await startCloud({ metadata: { dependencies: { now: () => now } } })
  await getProject(cloud)
  now = 2_000
  await getProject(cloud)
  const read = async (query: string) => (await fetch(`${cloud.metadata.url}/__calls?${query}`)).json()
  const [first, second] = await callsOf(cloud.metadata)
  assert.deepEqual(await read('since=2000'), [second])
  assert.deepEqual(await read(`after=${first?.id}`), [second])
  assert.deepEqual(await read(`after=${second?.id}`), [])
  assert.equal((await fetch(`${cloud.metadata.url}/__calls?since=noon`)).status, 400)
})
