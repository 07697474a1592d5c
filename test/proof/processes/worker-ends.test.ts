import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, test } from 'node:test'
import { startProcessCloud } from '../../support/process-cloud.ts'
import { type CloudOverrides, placeFault } from '../../support/stand-ins.ts'
import { holdAnswers, postTo, untilModelCalled, wrap } from '../../support/worker.ts'

const job = {
  id: 'doc-7',
  url: '/v1/chat/completions',
  body: { messages: [{ role: 'user', content: 'Bridges carry people over water.' }] },
}
const pushed = JSON.stringify(wrap(job))

/** A cloud, and a worker process that works with it. */
async function startProcess(azure: CloudOverrides['azure'] = {}) {
  await using started = new AsyncDisposableStack()
  const on = started.use(await startProcessCloud({ azure }))
  const worker = started.use(on.start())
  const at = await worker.url()
  const cleanups = started.move()
  const end = { [Symbol.asyncDispose]: () => cleanups.disposeAsync() }
  return { ...on, worker, at, push: () => postTo(at, pushed), ...end }
}

/** What the process says when it has to end before its jobs have. */
const ENDED_BY_FORCE = /could not be released in time/

describe('a worker process', { concurrency: 3 }, () => {
  test('a job that is being asked at SIGINT is finished, and the worker ends with 0', async () => {
    const { options, askedBy, letGo } = holdAnswers()
    await using on = await startProcess(options)
    const answer = on.push()
    await askedBy(answer)
    on.worker.kill('SIGINT')
    await on.worker.logged(/shutdown requested/)
    letGo()
    assert.deepEqual(await answer, { status: 204 })
    assert.equal((await on.worker.ended).code, 0)
    assert.equal((await on.record('doc-7'))?.status, 'succeeded')
  })

  test('a job whose model hangs at SIGTERM is left waiting, its attempt unknown', async () => {
    const { options, askedBy, letGo } = holdAnswers()
    await using on = await startProcess(options)
    const answer = on.push()
    await askedBy(answer)
    on.worker.kill('SIGTERM')
    assert.deepEqual(await answer, { status: 503, reason: 'ambiguous' })
    assert.equal((await on.worker.ended).code, 0)
    const record = await on.record('doc-7')
    assert.deepEqual([record?.status, record?.attempts.map(({ outcome }) => outcome)], ['waiting', ['unknown']])
    letGo()
  })

  test('a job that only waits for quota at SIGTERM is released at once, as no attempt', async () => {
    await using on = await startProcess()
    await placeFault(on.cloud.azure, { kind: 'status', error: 'call_rate_limit', headers: { 'retry-after': '30' } })
    const answer = on.push()
    await untilModelCalled(on, answer)
    on.worker.kill('SIGTERM')
    assert.deepEqual(await answer, { status: 503, reason: 'draining' })
    const { code, stdout } = await on.worker.ended
    assert.equal(code, 0)
    assert.doesNotMatch(stdout, ENDED_BY_FORCE)
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
      await on.worker.logged(/shutdown requested/)
      caller.write(`\r\n${body}`)
      const [answer] = await once(caller, 'data')
      assert.match(String(answer), answered)
      const { code, stdout } = await on.worker.ended
      assert.equal(code, 0)
      assert.doesNotMatch(stdout, ENDED_BY_FORCE)
      assert.equal(await on.record('doc-7'), undefined)
    })
  }
})
