import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, test } from 'node:test'
import { z } from 'zod'
import { createPushTokens } from '../../local/pubsub-push/push-tokens.ts'
import { createSigningKey } from '../../local/signing-key.ts'
import { type AskingWorker, DONE, deferred, JOB, onWorker, whileAsking } from '../support/on-worker.ts'
import type { TestWorker } from '../support/worker.ts'

const CAP = 1_000_000
const LIMITED = { MAX_IN_FLIGHT_BYTES: String(CAP) }
/** What is no job is acknowledged as soon as it is read. */
const push = (bytes: number) => Buffer.alloc(bytes, 'x')

function connectTo({ url }: TestWorker): Socket {
  const { hostname, port } = new URL(url)
  return connect(Number(port), hostname)
}

/** Begins a push and leaves it there. Resolves when the worker has its headers. */
async function stall(worker: TestWorker, headers: string, body = ''): Promise<Socket> {
  const caller = connectTo(worker)
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
    assert.deepEqual(answer, deferred('busy'))
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
  test('is busy at once, and fits when its forerunner has gone away in the middle of its body', () =>
    onWorker(LIMITED, async (worker) => {
      const caller = await stallWithAll(worker)
      caller.destroy()
      assert.equal(await pushedAtLast(worker, CAP), 204)
      assert.match(worker.logText(), /"reason":"busy","problem":"this instance holds MAX_IN_FLIGHT_BYTES of pushes"/)
    }))

  test('leaves its connection usable, though its body was not read', () =>
    onWorker(LIMITED, async (worker) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      const caller = await stallWithAll(worker)
      const first = await postThrough(agent, worker, push(300_000))
      caller.destroy()
      assert.equal(await pushedAtLast(worker, 1), 204)
      const second = await postThrough(agent, worker, push(300_000))
      agent.destroy()
      assert.deepEqual([first.status, second.status, second.port], [503, 204, first.port])
    }))

  test('and of which no more comes is answered all the same, and its connection is closed', () =>
    onWorker(LIMITED, async (worker) => {
      const first = await stallWithAll(worker)
      const caller = connectTo(worker)
      caller.write('POST /push HTTP/1.1\r\nhost: worker\r\ncontent-length: 500000\r\n\r\nhalf of it')
      assert.match(await text(caller), /^HTTP\/1\.1 503 .*\r\n\r\n\{"reason":"busy"\}$/s)
      assert.ok(!first.destroyed)
      first.destroy()
    }))
})

describe('an answer that does not fit', () => {
  /** Of up to 4,096 tokens, by their logprobs too. */
  const large = (id: string, n = 1) => ({ ...JOB, id, body: { ...JOB.body, max_tokens: 4_096, logprobs: true, n } })
  const small = (id: string) => ({ ...JOB, id })

  test('defers its job before anything is asked, and others go on', () => {
    const beside = async (worker: AskingWorker) => {
      assert.deepEqual(await worker.push(large('b')), deferred('busy'))
      assert.match(worker.logText(), /"reason":"busy","problem":"MAX_IN_FLIGHT_BYTES has no room for the answer/)
      assert.equal(await worker.record('b'), undefined)
      const others = ['c', 'd'].map((id) => worker.push(small(id)))
      worker.letGo()
      for (const answer of [worker.pushed, ...others]) assert.deepEqual(await answer, DONE)
      assert.deepEqual(await worker.push(large('b')), DONE)
    }
    return whileAsking(LIMITED, beside, large('a'))
  })
})

test('pushes that stall hold no more than what came of them: a third of any length is read meanwhile', () =>
  onWorker(LIMITED, async (worker) => {
    const chunked = 'transfer-encoding: chunked'
    const stalled = [await stall(worker, `content-length: ${CAP}`), await stall(worker, chunked, '4\r\nhalf\r\n')]
    assert.equal((await worker.post(push(CAP - 4))).status, 204)
    for (const caller of stalled) caller.destroy()
  }))

test('a push that stalls is given up, and its room with it', () => {
  const readLimits = { readWithinMs: 1_000, headersWithinMs: 1_000, lookEveryMs: 10 }
  return onWorker({ ...LIMITED, readLimits }, async (worker) => {
    assert.match(await text(await stall(worker, `content-length: ${CAP}`)), /^HTTP\/1\.1 408 /)
    assert.equal(await pushedAtLast(worker, CAP), 204)
    assert.match(worker.logText(), /a push ended before its body was complete/)
  })
})

test('a push that has more than its length says is read to that length, and what follows is no push', () =>
  onWorker(LIMITED, async (worker) => {
    const caller = connectTo(worker)
    caller.write('POST /push HTTP/1.1\r\nhost: worker\r\ncontent-length: 3\r\n\r\nabcdefghi\r\n\r\n')
    assert.match(await text(caller), /^HTTP\/1\.1 (204|400) /)
    assert.equal(await pushedAtLast(worker, CAP), 204)
    for (const { data } of await worker.deadLetters()) assert.ok([3, CAP].includes(data.byteLength))
  }))

test('callers whose token is not checked yet take no room', async () => {
  const silent = createServer().listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = z.object({ port: z.number() }).parse(silent.address())
  const oidc = { audience: 'https://worker', serviceAccount: 'push@contoso.iam.gserviceaccount.com' }
  const guarded = {
    ...{ PUSH_AUTH: 'cloud-run-iam', PUSH_CERTS_URL: `http://127.0.0.1:${port}` },
    ...{ PUSH_AUDIENCE: oidc.audience, PUSH_SERVICE_ACCOUNT: oidc.serviceAccount },
  }
  const token = await createPushTokens(await createSigningKey()).valid(oidc, Date.now())
  await onWorker({ ...LIMITED, ...guarded, dependencies: { onCloudRun: true } }, async (worker) => {
    const unchecked = `content-length: ${CAP}\r\nauthorization: Bearer ${token}`
    const strangers = await Promise.all([1, 2, 3, 4, 5].map(() => stall(worker, unchecked)))
    const known = token.slice(0, token.lastIndexOf('.')).concat('.SIGNATURE_REMOVED_BY_GOOGLE')
    assert.equal((await worker.post(push(CAP), { authorization: `Bearer ${known}` })).status, 204)
    for (const stranger of strangers) stranger.destroy()
  })
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
