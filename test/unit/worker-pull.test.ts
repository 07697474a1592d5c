import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { openQueueReport } from '../../shared/queues/sqlite/queue-report.ts'
import { openSqliteQueue } from '../../shared/queues/sqlite/sqlite-queue.ts'
import { openSubscription } from '../../shared/queues/sqlite/subscription.ts'
import { openSqliteDocuments } from '../../shared/stores/sqlite/sqlite-documents.ts'
import { createBytesInFlight } from '../../worker/delivery/bytes-in-flight.ts'
import { createDrain } from '../../worker/delivery/drain.ts'
import type { Outcome } from '../../worker/delivery/outcome.ts'
import { createReceiver } from '../../worker/jobs/receive.ts'
import { type PumpDependencies, pump } from '../../worker/pull/pump.ts'
import { type DeliveryEnd, decideRedelivery, decideSpent } from '../../worker/pull/redelivery.ts'
import { jobDependencies } from '../support/job-dependencies.ts'
import { NO_OBSERVER, partsOver } from '../support/job-processing.ts'
import { aTemporaryFile } from '../support/temporary-file.ts'

const T0 = 1_000_000
const DONE: Outcome = { done: true, as: 'succeeded', logFields: {} }
const DEFERRED: Outcome = { done: false, failure: { kind: 'store', message: 'away' }, logFields: {} }

describe('the redelivery of a message', () => {
  const cases: readonly [string, DeliveryEnd, number, string | undefined, object][] = [
    ['that is done: it is acknowledged', 'done', 3, 'dead', { kind: 'ack' }],
    ['that was deferred first: after 10 s', 'deferred', 1, 'dead', { kind: 'nack', dueAt: T0 + 10_000 }],
    ['that was deferred again: after twice as long', 'deferred', 2, 'dead', { kind: 'nack', dueAt: T0 + 20_000 }],
    ['that was deferred often: after 10 min', 'deferred', 99, 'dead', { kind: 'nack', dueAt: T0 + 600_000 }],
    ['at the hundredth time: forwarded', 'deferred', 100, 'dead', { kind: 'forward', topic: 'dead', deliveries: 100 }],
    ['without a dead-letter topic: for ever', 'deferred', 5_000, undefined, { kind: 'nack', dueAt: T0 + 600_000 }],
    ['that was cut by a shutdown: at once', 'cut', 100, 'dead', { kind: 'nack', dueAt: T0 }],
  ]
  for (const [title, end, attempt, topic, expected] of cases) {
    test(title, () => assert.deepEqual(decideRedelivery(end, attempt, T0, topic), expected))
  }

  test('whose hundredth delivery had no end: forwarded instead of delivered again', () => {
    assert.deepEqual(decideSpent(101, 'dead'), { kind: 'forward', topic: 'dead', deliveries: 100 })
    assert.deepEqual([decideSpent(100, 'dead'), decideSpent(101, undefined)], [undefined, undefined])
  })
})

/** A pump on a real file; `receive` gives the outcome of each delivery. */
async function startPump(t: TestContext, bodies: readonly string[], over: Partial<PumpDependencies>) {
  const file = await aTemporaryFile(t)
  const messages = await openSqliteQueue(file, () => T0)
  await messages.publishAll(
    'jobs',
    bodies.map((body) => ({ data: Buffer.from(body), attributes: { of: body } })),
  )
  await messages.close()
  const queue = await openSubscription(file)
  const report = await openQueueReport(file)
  const drain = createDrain()
  const dependencies: PumpDependencies = {
    ...{ queue, topic: 'jobs', deadLetterTopic: 'dead', drain, observer: NO_OBSERVER, now: () => T0 },
    ...{ receive: async () => DONE, bytes: createBytesInFlight(100), maxInFlightBytes: 100 },
    ...{ ackDeadlineMs: 10_000, maxInFlight: 10, ...over },
  }
  const ended = pump(dependencies)
  async function stop() {
    drain.begin(0)
    await ended
    const counts = await report.counts('jobs', T0)
    const [left] = await report.list('jobs', { limit: 1 })
    report.close()
    queue.close()
    return { ...counts, attempt: left?.attempt }
  }
  return { file, dependencies, queue, report, drain, stop }
}

describe('the delivery of a SQLite file', () => {
  test('gives a message as a push does, with its attributes, its trace and its attempt', async (t) => {
    const { promise, resolve } = Promise.withResolvers<unknown>()
    const { stop } = await startPump(t, ['job'], {
      receive: async ({ delivery }) => {
        resolve(delivery)
        return DONE
      },
    })
    assert.partialDeepStrictEqual(await promise, {
      ...{ messageId: '1', data: new Uint8Array(Buffer.from('job')), attributes: { of: 'job' } },
      ...{ deliveryAttempt: 1, publishedAt: T0, arrivedAt: T0 },
    })
    assert.partialDeepStrictEqual(await stop(), { acked: 1, waiting: 0 })
  })

  for (const [title, end] of [
    ['an outcome that is not done', async () => DEFERRED],
    ['an internal error', () => Promise.reject(new Error('a defect'))],
  ] as const) {
    test(`releases a message after ${title}, to be due later`, async (t) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      const receive = () => {
        resolve()
        return end()
      }
      const { stop, queue, report } = await startPump(t, ['job'], { receive })
      await promise
      while ((await report.counts('jobs', T0)).leased > 0) await delay(1)
      const dueAt = async (now: number) => (await queue.pull({ topic: 'jobs', max: 1, now, leaseMs: 1 })).length
      assert.deepEqual([await dueAt(T0 + 9_999), await dueAt(T0 + 10_000)], [0, 1])
      assert.partialDeepStrictEqual(await stop(), { acked: 0 })
    })
  }

  test('keeps a message until a full instance has room, and uses up no delivery', async (t) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const bytes = createBytesInFlight(100)
    const other = bytes.admit(98)
    const { stop } = await startPump(t, ['a job'], {
      bytes,
      receive: async () => {
        resolve()
        return DONE
      },
    })
    other?.release()
    await promise
    assert.partialDeepStrictEqual(await stop(), { acked: 1 })
  })

  test('asks a full instance again and again, and uses up one delivery for it', async (t) => {
    const documents = await openSqliteDocuments(await aTemporaryFile(t), Date.now)
    t.after(() => documents.close())
    const jobs = jobDependencies(partsOver(documents, []))
    const full = createReceiver({ jobs, ackDeadlineMs: 10_000, maxInFlight: 0 })
    const twice = Promise.withResolvers<void>()
    let calls = 0
    const job = JSON.stringify({ id: 'a', url: '/v1/chat/completions', body: { messages: [] } })
    const { stop } = await startPump(t, [job, job], {
      ...{ bytes: createBytesInFlight(1_000), maxInFlightBytes: 1_000, maxInFlight: 1 },
      receive(...args) {
        calls += 1
        if (calls === 2) twice.resolve()
        return full.receive(...args)
      },
    })
    await twice.promise
    assert.partialDeepStrictEqual(await stop(), { waiting: 2, acked: 0, attempt: 1 })
  })

  test('of two workers on one file, one delivers each message', async (t) => {
    const bodies = Array.from({ length: 60 }, (_, n) => `job ${n}`)
    const delivered: string[] = []
    const all = Promise.withResolvers<void>()
    const receive: PumpDependencies['receive'] = async ({ delivery }) => {
      await delay(1)
      delivered.push(delivery.messageId)
      if (delivered.length >= bodies.length) all.resolve()
      return DONE
    }
    const first = await startPump(t, bodies, { receive, maxInFlight: 3 })
    const second = await openSubscription(first.file)
    const ended = pump({ ...first.dependencies, queue: second })
    await all.promise
    assert.partialDeepStrictEqual(await first.stop(), { waiting: 0, leased: 0, acked: 60 })
    await ended
    second.close()
    assert.equal(new Set(delivered).size, 60)
    assert.equal(delivered.length, 60)
  })

  test('at the shutdown, a delivery that was not processed is due at once', async (t) => {
    const asked = Promise.withResolvers<void>()
    const { stop, drain } = await startPump(t, ['job', 'another'], {
      maxInFlight: 1,
      receive: async () => {
        asked.resolve()
        await new Promise((resolve) => drain.begun.addEventListener('abort', resolve))
        return DEFERRED
      },
    })
    await asked.promise
    assert.partialDeepStrictEqual(await stop(), { waiting: 2, leased: 0, acked: 0, attempt: 1 })
  })
})
