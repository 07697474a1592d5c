import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Batch, type BatchStore, storedBatch } from '../../shared/stores/batch-store.ts'
import { StoreError } from '../../shared/stores/job-store.ts'
import { createBatchControls } from '../../worker/limits/batch-controls.ts'
import { createLog } from '../../worker/observe/log.ts'
import { START } from '../support/job-builders.ts'

const aBatch = (over: object = {}) => storedBatch.parse({ name: 'nightly', createdAt: START, ...over })
const cancelled = aBatch({ cancelledAt: START })

type Found = Batch | undefined | Error

/** Controls over a clock that the test moves; `batch` is what the next read finds, or the error it meets. */
function controlled({ batch }: { batch: Found } = { batch: aBatch() }) {
  const state: { now: number; batch: Found } = { now: START, batch }
  const reads: string[] = []
  const timers = new Map<() => void, number>()
  const read: BatchStore['read'] = async (name) => {
    reads.push(name)
    if (state.batch instanceof Error) throw state.batch
    return state.batch
  }
  const later = (call: () => void, ms: number) => {
    timers.set(call, state.now + ms)
    return () => void timers.delete(call)
  }
  const log = createLog('silent', { write: () => undefined })
  const controls = createBatchControls({ read, later, now: () => state.now, log })
  return {
    state,
    reads,
    timers,
    watch: controls.watch,
    /** Lets so much time pass, and the timers of that time ring. */
    async pass(ms: number) {
      state.now += ms
      for (const [call, at] of [...timers]) {
        if (at > state.now) continue
        timers.delete(call)
        call()
      }
      await new Promise(setImmediate)
    },
  }
}

describe('the controls of a batch', () => {
  test('are known before its first job goes on', async () => {
    const on = controlled({ batch: cancelled })
    assert.equal((await on.watch('nightly')).cancelled.aborted, true)
  })

  test('are none where the batch was never opened', async () => {
    const on = controlled({ batch: undefined })
    assert.equal((await on.watch('nightly')).cancelled.aborted, false)
  })

  test('cost a job of no batch no read and no timer', async () => {
    const on = controlled()
    assert.equal((await on.watch('')).cancelled.aborted, false)
    assert.deepEqual([on.reads, on.timers.size], [[], 0])
  })

  test('are read once by a thousand jobs that come together, and once in five seconds by all that follow', async () => {
    const on = controlled()
    const watches = await Promise.all(Array.from({ length: 1_000 }, () => on.watch('nightly')))
    assert.equal(on.reads.length, 1)
    await on.pass(4_999)
    await on.watch('nightly')
    assert.equal(on.reads.length, 1)
    await on.pass(1)
    await on.watch('nightly')
    assert.deepEqual([watches.length, on.reads.length, on.timers.size], [1_000, 2, 1])
  })

  test('abort what is in flight within five seconds', async () => {
    const on = controlled()
    const { cancelled: signal } = await on.watch('nightly')
    on.state.batch = cancelled
    await on.pass(4_999)
    assert.equal(signal.aborted, false)
    await on.pass(1)
    assert.equal(signal.aborted, true)
    assert.equal(on.timers.size, 0)
  })

  test('are read again although a timer rang a moment too soon', async () => {
    const on = controlled()
    const { cancelled: signal } = await on.watch('nightly')
    on.state.batch = cancelled
    const [ring] = on.timers.keys()
    on.timers.clear()
    on.state.now += 4_999
    ring?.()
    await on.pass(1)
    assert.equal(signal.aborted, true)
  })

  test('are not read while no job of the batch is under way', async () => {
    const on = controlled()
    const watches = [await on.watch('nightly'), await on.watch('nightly')]
    for (const { leave } of watches) leave()
    assert.equal(on.timers.size, 0)
    await on.pass(60_000)
    assert.equal(on.reads.length, 1)
    on.state.batch = cancelled
    assert.equal((await on.watch('nightly')).cancelled.aborted, true)
  })

  test('of one batch are nothing to another', async () => {
    const on = controlled({ batch: cancelled })
    await on.watch('nightly')
    on.state.batch = aBatch({ name: 'daily' })
    assert.equal((await on.watch('daily')).cancelled.aborted, false)
  })

  test('stop no job while the store is away, and are read five seconds later', async () => {
    const on = controlled({ batch: new StoreError('unavailable', 'away') })
    const { cancelled: signal } = await on.watch('nightly')
    await on.watch('nightly')
    assert.deepEqual([signal.aborted, on.reads.length], [false, 1])
    on.state.batch = cancelled
    await on.pass(5_000)
    assert.equal(signal.aborted, true)
  })

  test('once they say cancelled, say so while the store is away, and ask it no more', async () => {
    const on = controlled({ batch: cancelled })
    await on.watch('nightly')
    on.state.batch = new StoreError('unavailable', 'away')
    await on.pass(60_000)
    assert.equal((await on.watch('nightly')).cancelled.aborted, true)
    assert.equal(on.reads.length, 1)
  })

  test('are remembered of a bounded number of batches, those of running jobs among them', async () => {
    const on = controlled()
    const { cancelled: signal } = await on.watch('first')
    for (let n = 0; n < 1_500; n += 1) (await on.watch(`batch ${n}`)).leave()
    await on.watch('batch 1499')
    assert.equal(on.reads.length, 1_501)
    await on.watch('batch 0')
    assert.equal(on.reads.length, 1_502)
    on.state.batch = cancelled
    await on.pass(5_000)
    assert.equal(signal.aborted, true)
  })
})

describe('the token limit of a batch', () => {
  const usage = (tokens: number) => ({ promptTokens: tokens - 1, completionTokens: 1 })
  const limited = (tokenLimit: number, over: object = {}) => aBatch({ tokenLimit, ...over })
  const counted = (tokens: number, sweptAt = START) => ({ counts: {}, tokens: usage(tokens), sweptAt })

  test('is reached with the very token', async () => {
    const on = controlled({ batch: limited(100) })
    const watch = await on.watch('nightly')
    watch.spend(usage(99))
    assert.equal(await watch.limitReached(), undefined)
    watch.spend(usage(2))
    assert.deepEqual(await watch.limitReached(), { spent: 101, limit: 100 })
  })

  test('is absent where none was set, and for a job without a batch', async () => {
    const on = controlled()
    for (const batch of ['nightly', '']) {
      const watch = await on.watch(batch)
      watch.spend(usage(1_000_000))
      assert.equal(await watch.limitReached(), undefined)
    }
    assert.equal(on.reads.length, 1)
  })

  test('counts what the sweep counted, and what all jobs of the batch have used here since', async () => {
    const on = controlled({ batch: limited(100, counted(90)) })
    const [one, another] = [await on.watch('nightly'), await on.watch('nightly')]
    assert.equal(await one.limitReached(), undefined)
    another.spend(usage(10))
    another.leave()
    assert.deepEqual(await one.limitReached(), { spent: 100, limit: 100 })
    const other = await on.watch('daily')
    assert.equal(await other.limitReached(), undefined)
  })

  test('is read again once it seems reached, so that a raised limit counts at once', async () => {
    const on = controlled({ batch: limited(100, counted(100)) })
    const watch = await on.watch('nightly')
    on.state.batch = limited(200, counted(100))
    assert.equal(await watch.limitReached(), undefined)
    assert.equal(on.reads.length, 2)
    on.state.batch = limited(100, counted(100))
    await on.pass(5_000)
    const reached = await Promise.all(Array.from({ length: 1_000 }, () => watch.limitReached()))
    assert.deepEqual([reached.filter(Boolean).length, on.reads.length], [1_000, 4])
  })

  test('that is not reached is not read more often than every five seconds', async () => {
    const on = controlled({ batch: limited(100) })
    const watch = await on.watch('nightly')
    for (let job = 0; job < 10; job += 1) await watch.limitReached()
    assert.equal(on.reads.length, 1)
  })

  test('stands as it was known while the store is away', async () => {
    const on = controlled({ batch: limited(100) })
    const watch = await on.watch('nightly')
    watch.spend(usage(100))
    on.state.batch = new StoreError('unavailable', 'away')
    assert.deepEqual(await watch.limitReached(), { spent: 100, limit: 100 })
  })
})
