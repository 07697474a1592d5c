import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { placeFault, startCloud } from '../support/stand-ins.ts'
import { holdAnswers, startWorker, watchClock } from '../support/worker.ts'

const url = '/v1/chat/completions'
const aJob = (content: string) => ({ id: 'doc-7', url, body: { messages: [{ role: 'user', content }] } })
const job = aJob('Bridges carry people over water, in all weathers.')
const again = (run: number) => ({ attributes: { 'pb-run': String(run) } })

const cloud = await startCloud()
after(() => cloud.close())

/** A worker that is asking a model whose answers wait for the test. */
async function startAsking(settings = {}) {
  await using started = new AsyncDisposableStack()
  const { options, askedBy, letGo } = holdAnswers()
  const cloud = started.use(await startCloud({ azure: options }))
  const { now, readAgain } = watchClock()
  const worker = started.use(await startWorker(cloud, { settings, dependencies: { now } }))
  const first = worker.push(job)
  await askedBy(first)
  const cleanups = started.move()
  /** While the model is asked the clock is read for nothing but an arrival. */
  const pushUntilItArrives = async () => {
    const arrived = readAgain(1)
    const answer = worker.push(job)
    await Promise.race([arrived, answer])
    return { answer }
  }
  return { cloud, worker, first, pushUntilItArrives, letGo, [Symbol.asyncDispose]: () => cleanups.disposeAsync() }
}

describe('a job that is delivered twice at once', () => {
  test('is asked once on the same instance: the second delivery joins the first', async () => {
    await using on = await startAsking()
    const second = await on.pushUntilItArrives()
    const third = await on.pushUntilItArrives()
    on.letGo()
    const done = { status: 204 }
    assert.deepEqual(await Promise.all([on.first, second.answer, third.answer]), [done, done, done])
    assert.equal((await on.worker.modelCalls()).length, 1)
    assert.equal(on.worker.logText().match(/"joined":true/g)?.length, 2)
  })

  test('shares what becomes of it, be it bad', async () => {
    await using on = await startAsking()
    const { answer } = await on.pushUntilItArrives()
    on.worker.drain.begin(0)
    const unknown = { status: 503, reason: 'ambiguous' }
    assert.deepEqual(await Promise.all([on.first, answer]), [unknown, unknown])
    assert.equal((await on.worker.record('doc-7'))?.attempts.length, 1)
    on.letGo()
  })

  test('is busy on another instance, which calls no model, and done there when the first has settled it', async () => {
    await using on = await startAsking()
    await using other = await startWorker(on.cloud, { settings: { STORE: `sqlite:${on.worker.file}` } })
    assert.deepEqual(await other.push(job), { status: 503, reason: 'busy' })
    on.letGo()
    assert.deepEqual(await on.first, { status: 204 })
    assert.deepEqual(await other.push(job), { status: 204 })
    assert.equal((await on.worker.modelCalls()).length, 1)
  })
})

test('an instance that is full refuses another job before it costs anything, and takes poison still', async () => {
  await using on = await startAsking({ MAX_IN_FLIGHT: '1' })
  const { worker } = on
  assert.deepEqual(await worker.push({ ...job, id: 'doc-8' }), { status: 503, reason: 'busy' })
  assert.equal(await worker.record('doc-8'), undefined)
  assert.deepEqual(await worker.push('not JSON'), { status: 204 })
  on.letGo()
  assert.deepEqual(await on.first, { status: 204 })
  assert.deepEqual(await worker.push({ ...job, id: 'doc-8' }), { status: 204 })
})

describe('a settled job', () => {
  test('that succeeded is done: no model is called again', async () => {
    await using worker = await startWorker(cloud)
    await worker.push(job)
    const before = await worker.record('doc-7')
    assert.deepEqual(await worker.push(job), { status: 204 })
    assert.deepEqual(await worker.record('doc-7'), before)
    assert.equal((await worker.modelCalls()).length, 1)
    assert.match(worker.logText(), /"outcome":"repeated"/)
  })

  test('that was dead-lettered is so again, from its record, without a call', async () => {
    await using worker = await startWorker(cloud)
    await placeFault(cloud.azure, { kind: 'status', status: 400, times: 1 })
    assert.deepEqual([await worker.push(job), await worker.push(job)], [{ status: 204 }, { status: 204 }])
    const [first, second, ...others] = await worker.deadLetters()
    assert.deepEqual([first?.attributes, others], [second?.attributes, []])
    assert.equal((await worker.modelCalls()).length, 1)
  })

  test('keeps its record when another payload takes its id: that one is a conflict', async () => {
    await using worker = await startWorker(cloud)
    await worker.push(job)
    const before = await worker.record('doc-7')
    assert.deepEqual(await worker.push(aJob('Another document.')), { status: 204 })
    assert.deepEqual(await worker.record('doc-7'), before)
    const [letter] = await worker.deadLetters()
    assert.deepEqual([letter?.attributes['pb-reason'], letter?.attributes['pb-key']], ['conflict', before?.key])
    assert.match(Buffer.from(letter?.data ?? []).toString(), /Another document/)
    assert.equal((await worker.modelCalls()).length, 1)
  })
})

describe('a replay', () => {
  async function startWithRejectedJob() {
    const worker = await startWorker(cloud)
    await placeFault(cloud.azure, { kind: 'status', status: 400, times: 1 })
    await worker.push(job)
    return worker
  }

  test('of a dead-lettered job is its next run, whose attempts count from one', async () => {
    await using worker = await startWithRejectedJob()
    assert.deepEqual(await worker.push(job, again(2)), { status: 204 })
    const record = await worker.record('doc-7')
    assert.deepEqual(
      [record?.status, record?.run, record?.attempts.map(({ run, n }) => [run, n])],
      [
        'succeeded',
        2,
        [
          [1, 1],
          [2, 1],
        ],
      ],
    )
    assert.equal((await worker.modelCalls()).at(-1)?.detail['clientRequestId'], `${record?.key}.2.1`)
    assert.match(worker.logText(), /"run":2,"attempt":1/)
  })

  test('of a run that cannot have been reached is dead-lettered, and the record left alone', async () => {
    await using worker = await startWithRejectedJob()
    const before = await worker.record('doc-7')
    assert.deepEqual(await worker.push(job, again(3)), { status: 204 })
    assert.deepEqual(await worker.record('doc-7'), before)
    const [, letter] = await worker.deadLetters()
    assert.match(letter?.attributes['pb-error'] ?? '', /no replay can have reached/)
  })

  test('makes an earlier run history, which is acknowledged and costs nothing', async () => {
    await using worker = await startWithRejectedJob()
    await placeFault(cloud.azure, { kind: 'status', error: 'server_error', times: 1 })
    assert.deepEqual(await worker.push(job, again(2)), { status: 503, reason: 'unavailable' })
    assert.deepEqual(await worker.push(job), { status: 204 })
    assert.equal((await worker.modelCalls()).length, 2)
    assert.match(worker.logText(), /"outcome":"superseded"/)
  })
})

describe('a deadline', () => {
  test('that has passed ends the job as expired, without a token, a call or a dead letter', async () => {
    await using worker = await startWorker(cloud)
    await placeFault(cloud.metadata, { kind: 'status', error: 'no_service_account' })
    assert.deepEqual(await worker.push({ ...job, deadline: '2026-01-01T00:00:00Z' }), { status: 204 })
    const record = await worker.record('doc-7')
    assert.deepEqual([record?.status, record?.attempts], ['expired', []])
    assert.deepEqual([await worker.modelCalls(), await worker.deadLetters()], [[], []])
  })

  test('lets a job start at its very millisecond, and not one later', async () => {
    // The stand-ins have the real clock: a token of theirs must be good at this one.
    const deadline = Date.now()
    const clock = { now: deadline }
    await using worker = await startWorker(cloud, { dependencies: { now: () => clock.now, elapsed: () => clock.now } })
    const due = { ...job, deadline: new Date(deadline).toISOString() }
    assert.deepEqual(await worker.push(due), { status: 204 })
    clock.now += 1
    assert.deepEqual(await worker.push({ ...due, id: 'doc-8' }), { status: 204 })
    assert.equal((await worker.record('doc-7'))?.status, 'succeeded')
    assert.equal((await worker.record('doc-8'))?.status, 'expired')
  })
})
