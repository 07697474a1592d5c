import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { azureAnswers, DONE, deferred, JOB, onWorker, whileAsking } from '../support/on-worker.ts'

describe('a store that is unavailable', () => {
  test('when a job is claimed defers it before the model is asked', () =>
    onWorker({}, async (worker) => {
      const bringBack = worker.takeAway('promptJobs')
      assert.deepEqual(await worker.push(JOB), deferred('store'))
      assert.deepEqual(await worker.modelCalls(), [])
      bringBack()
      assert.deepEqual(await worker.push(JOB), DONE)
    }))

  test('when a job is settled is waited for: what was paid is kept', () =>
    whileAsking({}, async (worker) => {
      const bringBack = worker.takeAway('promptJobs')
      // The clock is read for the time that is left, and for each try.
      const triedTwice = worker.readAgain(3)
      worker.letGo()
      await Promise.race([triedTwice, worker.pushed])
      bringBack()
      assert.deepEqual(await worker.pushed, DONE)
      assert.equal((await worker.record('doc-7'))?.status, 'succeeded')
      assert.equal((await worker.modelCalls()).length, 1)
    }))

  test('fails /readyz a second later, and not /healthz', () =>
    onWorker({}, async ({ clock, url, takeAway }) => {
      clock.stop()
      const statusOf = async (path: string) => (await fetch(url + path)).status
      assert.deepEqual([await statusOf('/readyz'), await statusOf('/healthz')], [200, 200])
      const bringBack = takeAway('promptJobs')
      assert.equal(await statusOf('/readyz'), 200)
      clock.aheadMs += 1_000
      assert.deepEqual([await statusOf('/readyz'), await statusOf('/healthz')], [503, 200])
      bringBack()
      clock.aheadMs += 1_000
      assert.equal(await statusOf('/readyz'), 200)
    }))
})

describe('a dead-letter topic that is unavailable', () => {
  test('defers a settled job, logs its ids, and the next delivery publishes its letter from the record', () =>
    onWorker({}, async (worker) => {
      await azureAnswers({ status: 400 })
      const bringBack = worker.takeAway('messages')
      assert.deepEqual(await worker.push(JOB), deferred('store'))
      assert.equal((await worker.record('doc-7'))?.status, 'dead_lettered')
      assert.match(worker.logText(), /"jobId":"doc-7".*"reason":"store"/)
      bringBack()
      assert.deepEqual(await worker.push(JOB), DONE)
      assert.equal((await worker.deadLetters()).length, 1)
      assert.equal((await worker.modelCalls()).length, 1)
    }))

  test('defers poison', () =>
    onWorker({}, async (worker) => {
      const bringBack = worker.takeAway('messages')
      assert.deepEqual(await worker.push('not JSON'), deferred('store'))
      bringBack()
      assert.deepEqual(await worker.push('not JSON'), DONE)
    }))
})
