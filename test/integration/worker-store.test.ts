import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { placeFault, startCloud } from '../support/stand-ins.ts'
import { holdAnswers, startWorker, watchClock } from '../support/worker.ts'

const url = '/v1/chat/completions'
const job = { id: 'doc-7', url, body: { messages: [{ role: 'user', content: 'Bridges carry people over water.' }] } }

const cloud = await startCloud()
after(() => cloud.close())

/** A worker that is asking the model. */
async function startAsking() {
  await using started = new AsyncDisposableStack()
  const { options, askedBy, letGo } = holdAnswers()
  const cloud = started.use(await startCloud({ azure: options }))
  const { clock, now, readAgain } = watchClock()
  const worker = started.use(await startWorker(cloud, { dependencies: { now } }))
  const pushed = worker.push(job)
  await askedBy(pushed)
  const cleanups = started.move()
  return { clock, readAgain, worker, pushed, letGo, [Symbol.asyncDispose]: () => cleanups.disposeAsync() }
}

describe('a store that is away', () => {
  test('when a job is claimed defers it before the model is asked', async () => {
    await using worker = await startWorker(cloud)
    const bringBack = worker.takeAway('promptJobs')
    assert.deepEqual(await worker.push(job), { status: 503, reason: 'store' })
    assert.deepEqual(await worker.modelCalls(), [])
    bringBack()
    assert.deepEqual(await worker.push(job), { status: 204 })
  })

  test('when a job is settled is waited for: what was paid is kept', async () => {
    await using on = await startAsking()
    const { worker } = on
    const bringBack = worker.takeAway('promptJobs')
    // The clock is read for the time that is left, and for each try.
    const triedTwice = on.readAgain(3)
    on.letGo()
    await Promise.race([triedTwice, on.pushed])
    bringBack()
    assert.deepEqual(await on.pushed, { status: 204 })
    assert.equal((await worker.record('doc-7'))?.status, 'succeeded')
    assert.equal((await worker.modelCalls()).length, 1)
  })

  test('until the push is over leaves an attempt that is dead when its lease ends, unknown, and followed', async () => {
    await using on = await startAsking()
    const { worker } = on
    const bringBack = worker.takeAway('promptJobs')
    on.clock.aheadMs = 570_000
    on.letGo()
    assert.deepEqual(await on.pushed, { status: 503, reason: 'store' })
    bringBack()
    assert.equal((await worker.record('doc-7'))?.status, 'running')
    assert.deepEqual(await worker.push(job), { status: 204 })
    const outcomes = (await worker.record('doc-7'))?.attempts.map(({ n, outcome }) => [n, outcome])
    assert.deepEqual(outcomes, [
      [1, 'unknown'],
      [2, 'succeeded'],
    ])
  })

  test('fails /readyz a second later, and not /healthz', async () => {
    const { clock, now } = watchClock()
    clock.stop()
    await using worker = await startWorker(cloud, { dependencies: { now } })
    const statusOf = async (path: string) => (await fetch(worker.url + path)).status
    assert.deepEqual([await statusOf('/readyz'), await statusOf('/healthz')], [200, 200])
    const bringBack = worker.takeAway('promptJobs')
    assert.equal(await statusOf('/readyz'), 200)
    clock.aheadMs += 1_000
    assert.deepEqual([await statusOf('/readyz'), await statusOf('/healthz')], [503, 200])
    bringBack()
    clock.aheadMs += 1_000
    assert.equal(await statusOf('/readyz'), 200)
  })
})

describe('a dead-letter topic that takes nothing', () => {
  test('defers a settled job, and the next delivery publishes it from the record', async () => {
    await using worker = await startWorker(cloud)
    await placeFault(cloud.azure, { kind: 'status', status: 400 })
    const bringBack = worker.takeAway('messages')
    assert.deepEqual(await worker.push(job), { status: 503, reason: 'store' })
    assert.equal((await worker.record('doc-7'))?.status, 'dead_lettered')
    bringBack()
    assert.deepEqual(await worker.push(job), { status: 204 })
    assert.equal((await worker.deadLetters()).length, 1)
    assert.equal((await worker.modelCalls()).length, 1)
  })

  test('defers poison', async () => {
    await using worker = await startWorker(cloud)
    const bringBack = worker.takeAway('messages')
    assert.deepEqual(await worker.push('not JSON'), { status: 503, reason: 'store' })
    bringBack()
    assert.deepEqual(await worker.push('not JSON'), { status: 204 })
  })

  test('is logged with the ids of the job that it delays', async () => {
    await using worker = await startWorker(cloud)
    await placeFault(cloud.azure, { kind: 'status', status: 400 })
    worker.takeAway('messages')
    await worker.push(job)
    assert.match(worker.logText(), /"jobId":"doc-7".*"reason":"store"/)
  })
})
