import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { after, describe, test } from 'node:test'
import { type CloudOverrides, placeFault, startCloud } from '../stand-ins.ts'
import { startWorkerProcess } from '../support/worker-process.ts'
import { DEAD_LETTERS, holdAnswers, postTo, storeFile, tracesOf, untilModelCalled, wrap } from '../worker.ts'

const url = '/v1/chat/completions'
const job = { id: 'doc-7', url, body: { messages: [{ role: 'user', content: 'Bridges carry people over water.' }] } }
const pushed = JSON.stringify(wrap(job))

const folders = new AsyncDisposableStack()
after(() => folders.disposeAsync())

/** A cloud, and a worker process that works with it. */
async function startProcess(azure: CloudOverrides['azure'] = {}) {
  await using started = new AsyncDisposableStack()
  const file = await storeFile(folders)
  const folder = dirname(file)
  const cloud = started.use(await startCloud({ azure, entra: { caPath: join(folder, 'ca.pem') } }))
  const open = { PUSH_AUTH: 'off', HOST: '127.0.0.1', PORT: '0', STORE: `sqlite:${file}` }
  const worker = started.use(startWorkerProcess(folder, { ...cloud.env, ...open, DEAD_LETTER_TOPIC: DEAD_LETTERS }))
  const at = await worker.url()
  const cleanups = started.move()
  const end = { [Symbol.asyncDispose]: () => cleanups.disposeAsync() }
  return { cloud, worker, at, push: () => postTo(at, pushed), ...(await tracesOf(cloud, file)), ...end }
}

/** Well within the grace of six seconds that a job has. */
const SOON_MS = 4_000

describe('a worker process', { concurrency: 3 }, () => {
  test('a worker without jobs ends at once, though connections are kept alive', async () => {
    await using on = await startProcess()
    await (await fetch(`${on.at}/healthz`)).text()
    const startedAt = performance.now()
    on.worker.kill('SIGTERM')
    assert.equal((await on.worker.ended).code, 0)
    assert.ok(performance.now() - startedAt < SOON_MS)
  })

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`a job that is being asked at ${signal} is finished, and the worker ends with 0`, async () => {
      const { options, askedBy, letGo } = holdAnswers()
      await using on = await startProcess(options)
      const answer = on.push()
      await askedBy(answer)
      on.worker.kill(signal)
      await on.worker.logged(/the worker ends/)
      letGo()
      assert.deepEqual(await answer, { status: 204 })
      assert.equal((await on.worker.ended).code, 0)
      assert.equal((await on.record('doc-7'))?.status, 'succeeded')
    })
  }

  test('a job whose model hangs at SIGTERM is left waiting, its attempt unknown, within nine seconds', async () => {
    const { options, askedBy, letGo } = holdAnswers()
    await using on = await startProcess(options)
    const answer = on.push()
    await askedBy(answer)
    const startedAt = performance.now()
    on.worker.kill('SIGTERM')
    assert.deepEqual(await answer, { status: 503, reason: 'ambiguous' })
    assert.equal((await on.worker.ended).code, 0)
    assert.ok(performance.now() - startedAt < 9_000)
    const record = await on.record('doc-7')
    assert.deepEqual([record?.status, record?.attempts.map(({ outcome }) => outcome)], ['waiting', ['unknown']])
    letGo()
  })

  test('a job that only waits for quota at SIGTERM is given back at once, as no attempt', async () => {
    await using on = await startProcess()
    await placeFault(on.cloud.azure, { kind: 'status', error: 'call_rate_limit', headers: { 'retry-after': '30' } })
    const answer = on.push()
    await untilModelCalled(on, answer)
    const startedAt = performance.now()
    on.worker.kill('SIGTERM')
    assert.deepEqual(await answer, { status: 503, reason: 'draining' })
    assert.equal((await on.worker.ended).code, 0)
    assert.ok(performance.now() - startedAt < SOON_MS)
    const record = await on.record('doc-7')
    assert.deepEqual([record?.status, record?.attempts, record?.uncounted], ['waiting', [], { draining: 1 }])
  })

  for (const [what, head, body, answered] of [
    ['a push', 'POST /push', pushed, /^HTTP\/1\.1 503 .*connection: close.*{"reason":"draining"}/is],
    ['a probe', 'GET /readyz', '', /^HTTP\/1\.1 503 .*{"status":"draining"}/is],
    ['a stranger', 'GET /', '', /^HTTP\/1\.1 404 /],
  ] as const) {
    test(`${what} that arrives while the worker ends is answered, and does not hold it up`, async () => {
      await using on = await startProcess()
      const { hostname, port } = new URL(on.at)
      const caller = connect(Number(port), hostname).setEncoding('utf8')
      caller.write(`${head} HTTP/1.1\r\nhost: worker\r\ncontent-length: ${Buffer.byteLength(body)}\r\n`)
      // A whole round trip later the worker has read this much.
      await (await fetch(`${on.at}/healthz`)).text()
      on.worker.kill('SIGTERM')
      await on.worker.logged(/the worker ends/)
      const startedAt = performance.now()
      caller.write(`\r\n${body}`)
      const [answer] = await once(caller, 'data')
      assert.match(String(answer), answered)
      assert.equal((await on.worker.ended).code, 0)
      assert.ok(performance.now() - startedAt < SOON_MS)
      assert.equal(await on.record('doc-7'), undefined)
    })
  }
})
