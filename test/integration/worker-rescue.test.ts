import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { startPubSubPush } from '../../local/pubsub-push/pubsub-push.ts'
import { openSqliteQueue } from '../../shared/queues/sqlite/sqlite-queue.ts'
import { clearFaults, placeFault, startCloud } from '../support/stand-ins.ts'
import { DEAD_LETTERS, JOBS, startWorker, watchClock } from '../support/worker.ts'
import { drained } from './pubsub-push-harness.ts'

const LOOK_EVERY_MS = 10
const url = '/v1/chat/completions'
const aJob = (id: string) => ({ id, url, body: { messages: [{ role: 'user', content: 'Bridges carry people.' }] } })

const cloud = await startCloud()
after(() => cloud.close())

/** A worker, and Pub/Sub, which gives a message up after five deliveries and pushes both topics. */
async function startPushing() {
  await using started = new AsyncDisposableStack()
  const { clock, now } = watchClock()
  const worker = started.use(await startWorker(cloud, { dependencies: { now } }))
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
  return { clock, worker, publish, done, [Symbol.asyncDispose]: () => cleanups.disposeAsync() }
}

test('jobs of an outage that outlasts their deliveries are rescued until it is over, and none is a dead letter', async () => {
  await using on = await startPushing()
  const { worker } = on
  // An operator has to fix it, so no delivery waits for the next try: each is deferred at once.
  await placeFault(cloud.entra, { kind: 'status', error: 'bad_signature', match: '/token' })
  for (const id of ['doc-1', 'doc-2', 'doc-3']) await on.publish(aJob(id))
  const rescues = () => worker.logText().match(/"outcome":"rescued"/g)?.length ?? 0
  while (rescues() < 4) await delay(LOOK_EVERY_MS)
  assert.equal(await worker.record('doc-1'), undefined, 'an outage costs no write')
  await clearFaults(cloud.entra)
  on.clock.aheadMs = 600_000
  await on.done()
  for (const id of ['doc-1', 'doc-2', 'doc-3']) assert.equal((await worker.record(id))?.status, 'succeeded', id)
  assert.equal((await worker.modelCalls()).length, 3)
  assert.deepEqual(await worker.recorded(), [])
})

test('a job that can never be done is a dead letter, and its message is gone from both topics', async () => {
  await using on = await startPushing()
  await placeFault(cloud.azure, { kind: 'status', status: 400 })
  await on.publish(aJob('doc-1'))
  await on.done()
  const letters = await on.worker.recorded()
  assert.deepEqual(
    letters.map(({ jobId, reason }) => [jobId, reason]),
    [['doc-1', 'rejected']],
  )
  assert.deepEqual([await on.worker.deadLetters(), await on.worker.rescued()], [[], []])
})
