import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { placeFault, startCloud } from '../support/stand-ins.ts'
import { holdAnswers, startWorker, untilModelCalled, wrap } from '../support/worker.ts'

const url = '/v1/chat/completions'
const job = { id: 'doc-7', url, body: { messages: [{ role: 'user', content: 'Bridges carry people over water.' }] } }

const cloud = await startCloud()
after(() => cloud.close())

/** A worker that is asking a model whose answers wait for the test. */
async function startAsking() {
  await using started = new AsyncDisposableStack()
  const { options, askedBy, letGo } = holdAnswers()
  const worker = started.use(await startWorker(started.use(await startCloud({ azure: options }))))
  const pushed = worker.push(job)
  await askedBy(pushed)
  const cleanups = started.move()
  return { worker, pushed, letGo, [Symbol.asyncDispose]: () => cleanups.disposeAsync() }
}

describe('an instance that begins to end', () => {
  test('defers new jobs without a claim, and closes the caller’s connection', async () => {
    await using worker = await startWorker(cloud)
    worker.drain.begin(6_000)
    const push = await fetch(`${worker.url}/push`, { method: 'POST', body: JSON.stringify(wrap(job)) })
    assert.deepEqual([push.status, await push.json()], [503, { reason: 'draining' }])
    assert.equal(push.headers.get('connection'), 'close')
    assert.deepEqual([await worker.record('doc-7'), await worker.modelCalls()], [undefined, []])
  })

  test('is no longer ready, and lives', async () => {
    await using worker = await startWorker(cloud)
    worker.drain.begin(6_000)
    const [ready, lives] = await Promise.all(['/readyz', '/healthz'].map((path) => fetch(worker.url + path)))
    assert.deepEqual([ready?.status, lives?.status], [503, 200])
    assert.deepEqual(await ready?.json(), { status: 'draining' })
    await lives?.text()
  })

  test('finishes what it is asking', async () => {
    await using on = await startAsking()
    on.worker.drain.begin(6_000)
    on.letGo()
    assert.deepEqual(await on.pushed, { status: 204 })
    assert.equal((await on.worker.record('doc-7'))?.status, 'succeeded')
  })

  test('aborts a request that takes longer than its grace: the attempt counts and its outcome is unknown', async () => {
    await using on = await startAsking()
    on.worker.drain.begin(20)
    assert.deepEqual(await on.pushed, { status: 503, reason: 'ambiguous' })
    const record = await on.worker.record('doc-7')
    assert.deepEqual([record?.status, record?.attempts.map(({ outcome }) => outcome)], ['waiting', ['unknown']])
    on.letGo()
  })

  test('releases a job that waits for quota at once, as no attempt', async () => {
    await using worker = await startWorker(cloud)
    const headers = { 'retry-after': '30' }
    await placeFault(cloud.azure, { kind: 'status', error: 'call_rate_limit', headers, times: 1 })
    const pushed = worker.push(job)
    await untilModelCalled(worker, pushed)
    worker.drain.begin(6_000)
    assert.deepEqual(await pushed, { status: 503, reason: 'draining' })
    const record = await worker.record('doc-7')
    assert.deepEqual([record?.status, record?.attempts, record?.uncounted], ['waiting', [], { draining: 1 }])
  })
})
