import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { azureAnswers, cloud, DONE, deferred, JOB, type OnWorker, onWorker, whileAsking } from '../support/on-worker.ts'
import { placeFault } from '../support/stand-ins.ts'

/** Pushes the job once more. While the model is asked the clock is read for nothing but an arrival. */
async function pushUntilItArrives({ push, readAgain }: OnWorker) {
  const arrived = readAgain(1)
  const answer = push(JOB)
  await Promise.race([arrived, answer])
  return { answer }
}

describe('a job that is delivered twice at once', () => {
  test('is asked once on the same instance: the second delivery joins the first', () =>
    whileAsking({}, async (worker) => {
      const second = await pushUntilItArrives(worker)
      const third = await pushUntilItArrives(worker)
      worker.letGo()
      assert.deepEqual(await Promise.all([worker.pushed, second.answer, third.answer]), [DONE, DONE, DONE])
      assert.equal((await worker.modelCalls()).length, 1)
      assert.equal(worker.logText().match(/"joined":true/g)?.length, 2)
    }))

  test('shares what becomes of it, be it bad', () =>
    whileAsking({}, async (worker) => {
      const { answer } = await pushUntilItArrives(worker)
      worker.drain.begin(0)
      const unknown = deferred('ambiguous')
      assert.deepEqual(await Promise.all([worker.pushed, answer]), [unknown, unknown])
      assert.equal((await worker.record('doc-7'))?.attempts.length, 1)
      worker.letGo()
    }))

  test('is busy on another instance, which calls no model, and done there when the first has settled it', () =>
    whileAsking({}, async (worker) => {
      await using other = await worker.another()
      assert.deepEqual(await other.push(JOB), deferred('busy'))
      worker.letGo()
      assert.deepEqual(await worker.pushed, DONE)
      assert.deepEqual(await other.push(JOB), DONE)
      assert.equal((await worker.modelCalls()).length, 1)
    }))
})

test('an instance that is full refuses another job before it costs anything, and takes poison still', () =>
  whileAsking({ MAX_IN_FLIGHT: '1' }, async (worker) => {
    assert.deepEqual(await worker.push({ ...JOB, id: 'doc-8' }), deferred('busy'))
    assert.equal(await worker.record('doc-8'), undefined)
    assert.deepEqual(await worker.push('not JSON'), DONE)
    worker.letGo()
    assert.deepEqual(await worker.pushed, DONE)
    assert.deepEqual(await worker.push({ ...JOB, id: 'doc-8' }), DONE)
  }))

describe('a settled job', () => {
  test('keeps its record when another payload takes its id: that one is a conflict', () =>
    onWorker({}, async (worker) => {
      await worker.push(JOB)
      const before = await worker.record('doc-7')
      assert.deepEqual(
        await worker.push({ ...JOB, body: { messages: [{ role: 'user', content: 'Another document.' }] } }),
        DONE,
      )
      assert.deepEqual(await worker.record('doc-7'), before)
      const [letter] = await worker.deadLetters()
      assert.deepEqual([letter?.attributes['pb-reason'], letter?.attributes['pb-key']], ['conflict', before?.key])
      assert.match(Buffer.from(letter?.data ?? []).toString(), /Another document/)
      assert.equal((await worker.modelCalls()).length, 1)
    }))
})

test('a replay of a run that cannot have been reached is dead-lettered, and the record left alone', () =>
  onWorker({}, async (worker) => {
    await azureAnswers({ status: 400, times: 1 })
    await worker.push(JOB)
    const before = await worker.record('doc-7')
    assert.deepEqual(await worker.push(JOB, { attributes: { 'pb-run': '3' } }), DONE)
    assert.deepEqual(await worker.record('doc-7'), before)
    const [, letter] = await worker.deadLetters()
    assert.match(letter?.attributes['pb-error'] ?? '', /no replay can have reached/)
  }))

describe('a deadline', () => {
  test('that has passed ends the job as expired, without a token, a call or a dead letter', () =>
    onWorker({}, async (worker) => {
      await placeFault(cloud.metadata, { kind: 'status', error: 'no_service_account' })
      assert.deepEqual(await worker.push({ ...JOB, deadline: '2026-01-01T00:00:00Z' }), DONE)
      const record = await worker.record('doc-7')
      assert.deepEqual([record?.status, record?.attempts], ['expired', []])
      assert.deepEqual([await worker.modelCalls(), await worker.deadLetters()], [[], []])
    }))

  // The stand-ins have the real clock: a token of theirs must be good at this one.
  test('lets a job start at its very millisecond, and not one later', () => {
    const deadline = Date.now()
    const clock = { now: deadline }
    return onWorker({ dependencies: { now: () => clock.now, elapsed: () => clock.now } }, async (worker) => {
      const due = { ...JOB, deadline: new Date(deadline).toISOString() }
      assert.deepEqual(await worker.push(due), DONE)
      clock.now += 1
      assert.deepEqual(await worker.push({ ...due, id: 'doc-8' }), DONE)
      assert.equal((await worker.record('doc-7'))?.status, 'succeeded')
      assert.equal((await worker.record('doc-8'))?.status, 'expired')
    })
  })
})
