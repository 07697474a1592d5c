import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { after, describe, test } from 'node:test'
import { z } from 'zod'
import { createPushTokens } from '../../local/pubsub-push/push-tokens.ts'
import { createSigningKey } from '../../local/signing-key.ts'
import { startCloud } from '../support/stand-ins.ts'
import { holdAnswers, startWorker, type TestWorker } from '../support/worker.ts'

const CAP = 1_000_000
const settings = { MAX_IN_FLIGHT_BYTES: String(CAP) }
const chat = { url: '/v1/chat/completions', body: { messages: [{ role: 'user', content: 'Bridges.' }] } }
/** What is no job is done with as soon as it is read. */
const push = (bytes: number) => Buffer.alloc(bytes, 'x')

const cloud = await startCloud()
after(() => cloud.close())

/** Begins a push and leaves it there. Resolves when the worker has its headers. */
async function stall({ url }: TestWorker, headers: string, body = ''): Promise<Socket> {
  const { hostname, port } = new URL(url)
  const caller = connect(Number(port), hostname)
  caller.write(`POST /push HTTP/1.1\r\nhost: worker\r\nexpect: 100-continue\r\n${headers}\r\n\r\n`)
  await once(caller, 'data')
  caller.write(body)
  return caller
}

/** All that there is room for, of a push that wants one byte more. */
const ALL = 'x'.repeat(CAP)

/** Begins a push that takes all the room, and leaves it there. Resolves when the worker has read so much. */
async function stallWithAll(worker: TestWorker, headers = `content-length: ${CAP + 1}`, body = ALL): Promise<Socket> {
  const caller = await stall(worker, headers, body)
  for (;;) {
    const answer = await worker.post(push(1))
    if (answer.status === 204) continue
    assert.deepEqual(answer, { status: 503, reason: 'busy' })
    return caller
  }
}

/** Pushes until it is not deferred for want of room. */
async function pushedAtLast(worker: TestWorker, bytes: number): Promise<number> {
  for (;;) {
    const { status } = await worker.post(push(bytes))
    if (status !== 503) return status
  }
}

describe('a push that does not fit', () => {
  test('is busy at once, and fits when its forerunner has gone away in the middle of its body', async () => {
    await using worker = await startWorker(cloud, { settings })
    const caller = await stallWithAll(worker)
    caller.destroy()
    assert.equal(await pushedAtLast(worker, CAP), 204)
    assert.match(worker.logText(), /"reason":"busy","problem":"this instance holds MAX_IN_FLIGHT_BYTES of pushes"/)
  })

  test('leaves its connection usable, though its body was not read', async () => {
    await using worker = await startWorker(cloud, { settings })
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const caller = await stallWithAll(worker)
    const first = await postThrough(agent, worker, push(300_000))
    caller.destroy()
    assert.equal(await pushedAtLast(worker, 1), 204)
    const second = await postThrough(agent, worker, push(300_000))
    agent.destroy()
    assert.deepEqual([first.status, second.status, second.port], [503, 204, first.port])
  })

  test('and of which no more comes is answered all the same, and its connection is closed', async () => {
    await using worker = await startWorker(cloud, { settings })
    const first = await stallWithAll(worker)
    const { hostname, port } = new URL(worker.url)
    const caller = connect(Number(port), hostname)
    caller.write('POST /push HTTP/1.1\r\nhost: worker\r\ncontent-length: 500000\r\n\r\nhalf of it')
    let answer = ''
    for await (const chunk of caller) answer += chunk
    assert.match(answer, /^HTTP\/1\.1 503 .*\r\n\r\n\{"reason":"busy"\}$/s)
    assert.ok(!first.destroyed)
    first.destroy()
  })

  test('because another has come in chunks fits when that one has gone', async () => {
    await using worker = await startWorker(cloud, { settings })
    const chunk = `${CAP.toString(16)}\r\n${ALL}\r\n`
    const caller = await stallWithAll(worker, 'transfer-encoding: chunked', chunk)
    caller.destroy()
    assert.equal(await pushedAtLast(worker, 1), 204)
  })
})

describe('an answer that does not fit', () => {
  /** Of a job that wants 4,096 tokens at most, by their logprobs too. */
  const large = (id: string) => ({ id, ...chat, body: { ...chat.body, max_tokens: 4_096, logprobs: true } })
  const small = (id: string) => ({ id, ...chat })

  test('defers its job before anything is asked, and others go on', async () => {
    const { options, askedBy, letGo } = holdAnswers()
    await using held = await startCloud({ azure: options })
    await using worker = await startWorker(held, { settings })
    const first = worker.push(large('a'))
    await askedBy(first)
    assert.deepEqual(await worker.push(large('b')), { status: 503, reason: 'busy' })
    assert.match(worker.logText(), /"reason":"busy","problem":"MAX_IN_FLIGHT_BYTES has no room for the answer/)
    assert.equal(await worker.record('b'), undefined)
    const others = ['c', 'd'].map((id) => worker.push(small(id)))
    letGo()
    for (const answer of [first, ...others]) assert.deepEqual(await answer, { status: 204 })
    assert.deepEqual(await worker.push(large('b')), { status: 204 })
  })

  test('and is larger than all there is passes when it is alone', async () => {
    const { options, askedBy, letGo } = holdAnswers()
    await using held = await startCloud({ azure: options })
    await using worker = await startWorker(held, { settings })
    const larger = { ...large('a'), body: { ...large('a').body, n: 2 } }
    const first = worker.push(larger)
    await askedBy(first)
    assert.deepEqual(await worker.push(small('b')), { status: 503, reason: 'busy' })
    letGo()
    assert.deepEqual(await first, { status: 204 })
    assert.deepEqual(await worker.push(small('b')), { status: 204 })
  })
})

test('a push that is larger than all there is passes when it is alone', async () => {
  await using worker = await startWorker(cloud, { settings })
  assert.equal((await worker.post(push(3 * CAP))).status, 204)
  assert.equal((await worker.post(push(3 * CAP))).status, 204)
})

test('pushes that stall hold no more than what came of them: a third of any length is read meanwhile', async () => {
  await using worker = await startWorker(cloud, { settings })
  const chunked = 'transfer-encoding: chunked'
  const stalled = [await stall(worker, `content-length: ${CAP}`), await stall(worker, chunked, '4\r\nhalf\r\n')]
  assert.equal((await worker.post(push(CAP - 4))).status, 204)
  for (const caller of stalled) caller.destroy()
})

test('a push that stalls is given up, and its room with it', async () => {
  await using worker = await startWorker(cloud, {
    settings,
    readLimits: { readWithinMs: 1_000, headersWithinMs: 1_000, lookEveryMs: 10 },
  })
  const caller = await stall(worker, `content-length: ${CAP}`)
  let answer = ''
  for await (const chunk of caller) answer += chunk
  assert.match(answer, /^HTTP\/1\.1 408 /)
  assert.equal(await pushedAtLast(worker, CAP), 204)
  assert.match(worker.logText(), /a push ended before its body was complete/)
})

test('a push that has more than its length says is read to that length, and what follows is no push', async () => {
  await using worker = await startWorker(cloud, { settings })
  const { hostname, port } = new URL(worker.url)
  const caller = connect(Number(port), hostname)
  caller.write('POST /push HTTP/1.1\r\nhost: worker\r\ncontent-length: 3\r\n\r\nabcdefghi\r\n\r\n')
  let answer = ''
  for await (const chunk of caller) answer += chunk
  assert.match(answer, /^HTTP\/1\.1 (204|400) /)
  assert.equal(await pushedAtLast(worker, CAP), 204)
  for (const { data } of await worker.deadLetters()) assert.ok([3, CAP].includes(data.byteLength))
})

test('callers whose token is not checked yet take no room', async () => {
  const silent = createServer().listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = z.object({ port: z.number() }).parse(silent.address())
  const oidc = { audience: 'https://worker', serviceAccount: 'push@contoso.iam.gserviceaccount.com' }
  const identity = { PUSH_AUDIENCE: oidc.audience, PUSH_SERVICE_ACCOUNT: oidc.serviceAccount }
  const PUSH_CERTS_URL = `http://127.0.0.1:${port}`
  await using worker = await startWorker(cloud, {
    settings: { ...settings, ...identity, PUSH_CERTS_URL, PUSH_AUTH: 'cloud-run-iam' },
    dependencies: { onCloudRun: true },
  })
  const token = await createPushTokens(await createSigningKey()).valid(oidc, Date.now())
  const strangers: Socket[] = []
  for (let n = 0; n < 5; n += 1) {
    strangers.push(await stall(worker, `content-length: ${CAP}\r\nauthorization: Bearer ${token}`))
  }
  const known = token.slice(0, token.lastIndexOf('.')).concat('.SIGNATURE_REMOVED_BY_GOOGLE')
  assert.equal((await worker.post(push(CAP), { authorization: `Bearer ${known}` })).status, 204)
  for (const stranger of strangers) stranger.destroy()
  silent.close()
})

async function postThrough(agent: Agent, { url }: TestWorker, body: Uint8Array) {
  const post = request(`${url}/push`, { method: 'POST', agent, headers: { 'content-length': body.byteLength } })
  post.end(body)
  const [response] = await once(post, 'response')
  response.resume()
  await once(response, 'end')
  return { status: response.statusCode, port: post.socket?.localPort }
}
