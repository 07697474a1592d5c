import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { StoreError } from '../../shared/stores/job-store.ts'
import type { WorkerInstance } from '../../shared/stores/telemetry-store.ts'
import { collectBackgroundWork } from '../../worker/delivery/background-work.ts'
import { createHeartbeat } from '../../worker/observe/heartbeat.ts'
import { createLog } from '../../worker/observe/log.ts'
import { DAY_MS, START } from '../support/job-builders.ts'

const done = { done: true, as: 'succeeded', logFields: {} } as const
const retry = { done: false, failure: { kind: 'token', message: 'no token' }, logFields: {} } as const
const instance = { id: 'i-1' }

function aHeart() {
  const clock = { now: START }
  const written: WorkerInstance[] = []
  const store = { fault: undefined as StoreError | undefined, flushes: 0 }
  const lines: string[] = []
  const beats: Promise<void>[] = []
  const heart = createHeartbeat({
    store: {
      async putInstance(worker) {
        if (store.fault !== undefined) throw store.fault
        written.push(worker)
      },
    },
    instance,
    models: ['gpt-4o'],
    tokens: { status: () => ({ state: 'good', validForMs: 1_000 }) },
    inFlight: () => 7,
    async flush() {
      store.flushes += 1
    },
    now: () => clock.now,
    log: createLog('info', { write: (line) => lines.push(line) }),
  })
  /** A push comes and is answered. */
  const answer = async (outcome: Parameters<typeof heart.answered>[0]) => {
    heart.pushed((beat) => void beats.push(beat))
    await Promise.all(beats)
    heart.answered(outcome)
  }
  return { ...heart, clock, written, store, answer, logged: () => lines.join('') }
}

describe('a heartbeat', () => {
  test('writes the state of the instance at the first push', async () => {
    const { answer, written, refusedPush } = aHeart()
    refusedPush()
    await answer(done)
    const state = { token: 'good', tokenValidForMs: 1_000, models: ['gpt-4o'], inFlight: 7, refusedPushes: 1 }
    assert.deepEqual(written, [
      { instance, startedAt: START, at: START, ...state, lastMinute: {}, expireAt: START + DAY_MS },
    ])
  })

  test('writes again at the very millisecond at which a minute is over, with the outcomes of the deliveries since', async () => {
    const { answer, written, clock } = aHeart()
    await answer(done)
    clock.now += 59_999
    await answer(retry)
    await answer(retry)
    assert.equal(written.length, 1)
    clock.now += 1
    await answer(done)
    assert.deepEqual(written[1]?.lastMinute, { succeeded: 1, retry_token: 2 })
  })

  test('includes the outcomes of a heartbeat that could not be written', async () => {
    const { answer, store } = aHeart()
    await answer(done)
    assert.equal(store.flushes, 1)
  })

  test('that cannot be written delays nothing and is in the log', async () => {
    const { answer, store, logged } = aHeart()
    store.fault = new StoreError('unavailable', 'Firestore did not take a write')
    await answer(done)
    assert.match(logged(), /the heartbeat cannot be written now/)
  })
})

describe('the background work that a request waits for', () => {
  const never = new AbortController().signal

  test('ends before the request does', async () => {
    const { waitUntil, done } = collectBackgroundWork()
    const work = Promise.withResolvers<void>()
    waitUntil(work.promise)
    let isDone = false
    const waiting = done(never).then(() => {
      isDone = true
    })
    await new Promise(setImmediate)
    assert.equal(isDone, false)
    work.resolve()
    await waiting
  })

  test('delays the request by five seconds at most', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const { waitUntil, done } = collectBackgroundWork()
    waitUntil(new Promise(() => undefined))
    const waiting = done(never)
    t.mock.timers.tick(5_000)
    await waiting
  })

  test('does not delay the request when a shutdown is requested', async () => {
    const { waitUntil, done } = collectBackgroundWork()
    waitUntil(new Promise(() => undefined))
    const ending = new AbortController()
    const waiting = done(ending.signal)
    ending.abort()
    await waiting
  })

  test('is usually empty, and the request returns at once', async () => {
    await collectBackgroundWork().done(never)
  })
})
