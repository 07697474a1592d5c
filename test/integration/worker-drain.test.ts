import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { deferred, JOB, onWorker, whileAsking } from '../support/on-worker.ts'
import { wrap } from '../support/worker.ts'

describe('an instance that begins to end', () => {
  test('defers new jobs without a claim, and closes the caller’s connection', () =>
    onWorker({}, async (worker) => {
      worker.drain.begin(6_000)
      const push = await fetch(`${worker.url}/push`, { method: 'POST', body: JSON.stringify(wrap(JOB)) })
      assert.deepEqual([push.status, await push.json()], [503, { reason: 'draining' }])
      assert.equal(push.headers.get('connection'), 'close')
      assert.deepEqual([await worker.record('doc-7'), await worker.modelCalls()], [undefined, []])
    }))

  test('is no longer ready, and lives', () =>
    onWorker({}, async (worker) => {
      worker.drain.begin(6_000)
      const [ready, lives] = await Promise.all(['/readyz', '/healthz'].map((path) => fetch(worker.url + path)))
      assert.deepEqual([ready?.status, lives?.status], [503, 200])
      assert.deepEqual(await ready?.json(), { status: 'draining' })
      await lives?.text()
    }))

  test('aborts a request that takes longer than its grace: the attempt counts and its outcome is unknown', () =>
    whileAsking({}, async (worker) => {
      worker.drain.begin(20)
      assert.deepEqual(await worker.pushed, deferred('ambiguous'))
      const record = await worker.record('doc-7')
      assert.deepEqual([record?.status, record?.attempts.map(({ outcome }) => outcome)], ['waiting', ['unknown']])
      worker.letGo()
    }))
})
