import assert from 'node:assert/strict'
import { after, afterEach, describe, test } from 'node:test'
import { z } from 'zod'
import { AZURE, GOOGLE } from '../../local/identities.ts'
import { tokenFor } from '../support/azure-client.ts'
import { callsOf, clearFaults, openWatchedLog, placeFault, startCloud } from '../support/stand-ins.ts'

const cloud = await startCloud()
const token = await tokenFor(cloud)
after(() => cloud.close())
afterEach(async () => {
  for (const standIn of [cloud.metadata, cloud.entra, cloud.azure]) await clearFaults(standIn)
})

const PROJECT = '/computeMetadata/v1/project/project-id'

const getProject = (signal?: AbortSignal, { metadata } = cloud) =>
  fetch(metadata.url + PROJECT, { headers: { 'metadata-flavor': 'Google' }, ...(signal && { signal }) })

/** One paid call, over plain HTTP so that what the wire does is seen as it is. */
async function askModel(id = 'doc-7/1', bearer = token, { azure } = cloud): Promise<Response> {
  return fetch(`${azure.url}/openai/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${bearer}`, 'x-ms-client-request-id': id },
    body: JSON.stringify({
      model: AZURE.deployment,
      messages: [{ role: 'user', content: 'A bridge carries people over the water.' }],
    }),
  })
}

describe('a fault', () => {
  test('of a status answers with the status, headers and body asked for, as often as asked for', async () => {
    const headers = { 'retry-after': '3' }
    await placeFault(cloud.metadata, { kind: 'status', status: 503, headers, body: { busy: true }, times: 1 })
    const answer = await getProject()
    assert.deepEqual([answer.status, answer.headers.get('retry-after')], [503, '3'])
    assert.deepEqual(await answer.json(), { busy: true })
    assert.equal((await getProject()).status, 200)
  })

  test('by its name is answered in the form of the service', async () => {
    await placeFault(cloud.azure, { kind: 'status', error: 'server_error' })
    const answer = await askModel('doc-7/1', 'any')
    assert.equal(answer.status, 500)
    assert.match(await answer.text(), new RegExp(`request ID ${answer.headers.get('apim-request-id')}`))
  })

  test('of garbage is a page of HTML with 200', async () => {
    await placeFault(cloud.azure, { kind: 'garbage' })
    const answer = await askModel('doc-7/1', 'any')
    assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'text/html'])
    assert.match(await answer.text(), /^<!doctype html>/)
  })

  test('that is cleared strikes no more', async () => {
    await placeFault(cloud.metadata, { kind: 'garbage' })
    await clearFaults(cloud.metadata)
    assert.equal(await (await getProject()).text(), GOOGLE.projectId)
  })

  for (const [body, problem] of [
    ['', /expected object/],
    ['{"kind":"explode"}', /kind/],
    ['{"kind":"status"}', /give either status/],
    ['{"kind":"status","status":503,"error":"timeout"}', /give either status/],
    ['{"kind":"status","error":"nonsense"}', /no error fixture "nonsense"; there are: unauthorized, .*server_error/],
    ['{"kind":"delay"}', /ms/],
    ['{"kind":"hang","tmies":3}', /tmies/],
    ['{"kind":"reset","after":"headers","billed":false}', /billed cannot be false/],
  ] as const) {
    test(`that is misused is answered with 400 and what is wrong: ${body}`, async () => {
      const answer = await fetch(`${cloud.azure.url}/__faults`, { method: 'POST', body })
      assert.equal(answer.status, 400)
      const { error } = z.object({ error: z.string() }).parse(await answer.json())
      assert.match(error, problem)
    })
  }
})

test('a hanging call is in the log as unanswered, and ends when the stand-in closes', async () => {
  const log = await openWatchedLog()
  const cloud = await startCloud({ metadata: { log } })
  await placeFault(cloud.metadata, { kind: 'hang', name: 'stuck' })
  const call = getProject(undefined, cloud)
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
  const call = getProject(impatient.signal, cloud)
  await log.recorded()
  impatient.abort()
  await assert.rejects(call, { name: 'AbortError' })
  assert.equal(await (await getProject(undefined, cloud)).text(), GOOGLE.projectId)
})

test('a delay makes a call wait, and then it is answered as usual', async () => {
  const waits: number[] = []
  const wait = async (ms: number) => {
    waits.push(ms)
  }
  await using cloud = await startCloud({ dependencies: { wait } })
  await placeFault(cloud.metadata, { kind: 'delay', ms: 1_500, times: 1 })
  assert.equal(await (await getProject(undefined, cloud)).text(), GOOGLE.projectId)
  assert.deepEqual(waits, [1_500])
  assert.equal((await callsOf(cloud.metadata))[0]?.detail['fault'], 'delay')
})

describe('a paid call that is cut', () => {
  /** The last call that the log of Azure has. */
  const lastCall = async () => {
    const { status, detail } = (await callsOf(cloud.azure)).at(-1) ?? {}
    return { status, billed: detail?.['billed'], fault: detail?.['fault'], finish: detail?.['finish'] }
  }

  test('before the answer leaves the caller with none, and the call unpaid', async () => {
    await placeFault(cloud.azure, { kind: 'reset', times: 1 })
    await assert.rejects(askModel())
    assert.partialDeepStrictEqual(await lastCall(), { status: null, billed: false, fault: 'reset after request' })
  })

  test('before the answer but billed leaves the caller with none, and the call paid', async () => {
    await placeFault(cloud.azure, { kind: 'reset', billed: true, times: 1 })
    await assert.rejects(askModel())
    assert.partialDeepStrictEqual(await lastCall(), { status: null, billed: true, finish: 'stop' })
  })

  test('after the headers leaves a status without a body, and the call paid', async () => {
    await placeFault(cloud.azure, { kind: 'reset', after: 'headers', times: 1 })
    const answer = await askModel()
    assert.equal(answer.status, 200)
    await assert.rejects(answer.text())
    assert.equal((await lastCall()).billed, true)
  })

  test('after half of the body leaves half of the body, and the call paid', async () => {
    await placeFault(cloud.azure, { kind: 'reset', after: 'half-body', times: 1 })
    const answer = await askModel()
    const reader = answer.body?.getReader()
    const { value } = (await reader?.read()) ?? {}
    assert.equal(value?.length, Math.floor(Number(answer.headers.get('content-length')) / 2))
    await assert.rejects(async () => reader?.read())
    assert.equal((await lastCall()).billed, true)
  })

  test('by a billed 503 is paid, and its answer is lost', async () => {
    await placeFault(cloud.azure, { kind: 'status', error: 'unavailable', billed: true, times: 1 })
    assert.equal((await askModel()).status, 503)
    assert.partialDeepStrictEqual(await lastCall(), { status: 503, billed: true, fault: 'unavailable' })
  })
})

test('resets work under TLS too', async () => {
  const keys = cloud.entra.keysUrl
  await placeFault(cloud.entra, { kind: 'reset', match: '/keys', times: 1 })
  await assert.rejects(fetch(keys))
  await placeFault(cloud.entra, { kind: 'reset', after: 'half-body', match: '/keys', times: 1 })
  await assert.rejects((await fetch(keys)).json())
  assert.equal((await fetch(keys)).status, 200)
})

test('a billed delay is in the log before the caller has the answer', async () => {
  const log = await openWatchedLog()
  const released = Promise.withResolvers<void>()
  const azure = { log, dependencies: { wait: () => released.promise } }
  await using cloud = await startCloud({ azure })
  await placeFault(cloud.azure, { kind: 'delay', ms: 5_000, billed: true, times: 1 })
  const call = askModel('doc-7/1', await tokenFor(cloud), cloud)
  assert.equal((await log.recorded()).detail['billed'], true)
  released.resolve()
  assert.equal((await call).status, 200)
})

test('the call log pages by id and by time', async () => {
  let now = 1_000
  await using cloud = await startCloud({ metadata: { dependencies: { now: () => now } } })
  await getProject(undefined, cloud)
  now = 2_000
  await getProject(undefined, cloud)
  const read = async (query: string) => (await fetch(`${cloud.metadata.url}/__calls?${query}`)).json()
  const [first, second] = await callsOf(cloud.metadata)
  assert.deepEqual(await read('since=2000'), [second])
  assert.deepEqual(await read(`after=${first?.id}`), [second])
  assert.deepEqual(await read(`after=${second?.id}`), [])
  assert.equal((await fetch(`${cloud.metadata.url}/__calls?since=noon`)).status, 400)
})
