import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { startPubSubPush } from '../../local/pubsub-push/pubsub-push.ts'
import { openSqliteQueue } from '../../shared/queues/sqlite/sqlite-queue.ts'
import { azureAnswers, cloud, JOB, type OnWorker, onWorker } from '../support/on-worker.ts'
import { clearFaults, placeFault } from '../support/stand-ins.ts'
import { DEAD_LETTERS, JOBS } from '../support/worker.ts'
import { drained } from './pubsub-push-harness.ts'

const LOOK_EVERY_MS = 10

/** Pub/Sub, which gives a message up after five deliveries and pushes both topics to a worker. */
async function startPushing(worker: OnWorker) {
  await using started = new AsyncDisposableStack()
  const now = () => Date.now() + worker.clock.aheadMs
  const queue = started.adopt(await openSqliteQueue(worker.file, now), (own) => own.close())
  const quick = { retry: { minBackoffMs: 1, maxBackoffMs: 1 }, flow: { minBackoffMs: 1, maxBackoffMs: 1 } }
  const name = (topic: string) => `projects/test/subscriptions/${topic}-worker`
  const jobs = { ...quick, name: name(JOBS), topic: JOBS, endpoint: `${worker.url}/push` }
  const letters = { ...quick, name: name(DEAD_LETTERS), topic: DEAD_LETTERS, endpoint: `${worker.url}/dead-letter` }
  const subscriptions = [{ ...jobs, deadLetter: { topic: DEAD_LETTERS, maxAttempts: 5 } }, letters]
  const push = started.adopt(
    await startPubSubPush({ file: worker.file, subscriptions, pollMs: 2, dependencies: { now } }),
    (own) => own.close(),
  )
  const publish = (job: object) => queue.publish(JOBS, { data: Buffer.from(JSON.stringify(job)), attributes: {} })
  /** Resolves when neither topic holds anything. */
  const done = async () => {
    for (;;) {
      await drained(push)
      const left = (await push.status()).reduce((sum, { waiting, outstanding }) => sum + waiting + outstanding, 0)
      if (left === 0) return
    }
  }
  const cleanups = started.move()
  return { publish, done, [Symbol.asyncDispose]: () => cleanups.disposeAsync() }
}

test('jobs of an outage that outlasts their deliveries are rescued until it is over, and none is a dead letter', () =>
  onWorker({}, async (worker) => {
    await using on = await startPushing(worker)
    // An operator has to fix it, so no delivery waits for the next try: each is deferred at once.
    await placeFault(cloud.entra, { kind: 'status', error: 'bad_signature', match: '/token' })
    for (const id of ['doc-1', 'doc-2', 'doc-3']) await on.publish({ ...JOB, id })
    const rescues = () => worker.logText().match(/"outcome":"rescued"/g)?.length ?? 0
    while (rescues() < 4) await delay(LOOK_EVERY_MS)
    assert.equal(await worker.record('doc-1'), undefined, 'an outage costs no write')
    await clearFaults(cloud.entra)
    worker.clock.aheadMs = 600_000
    await on.done()
    for (const id of ['doc-1', 'doc-2', 'doc-3']) assert.equal((await worker.record(id))?.status, 'succeeded', id)
    assert.equal((await worker.modelCalls()).length, 3)
    assert.deepEqual(await worker.recorded(), [])
  }))

test('a job that can never be done is a dead letter, and its message is gone from both topics', () =>
  onWorker({}, async (worker) => {
    await using on = await startPushing(worker)
    await azureAnswers({ status: 400 })
    await on.publish({ ...JOB, id: 'doc-1' })
    await on.done()
    const letters = await worker.recorded()
    const reasons = letters.map(({ jobId, reason }) => [jobId, reason])
    assert.deepEqual(reasons, [['doc-1', 'rejected']])
    assert.deepEqual([await worker.deadLetters(), await worker.rescued()], [[], []])
  }))
