import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createLog } from '../../shared/log.ts'
import { QueueError } from '../../shared/queue/job-queue.ts'
import { type Batch, isUnfinished, storedBatch } from '../../shared/store/batch-store.ts'
import type { DailyTokens, DailyTokensStore } from '../../shared/store/daily-tokens.ts'
import { StoreError } from '../../shared/store/job-store.ts'
import type { StoredRecord } from '../../shared/store/record-documents.ts'
import { createDrain } from '../../worker/drain.ts'
import { createSweep, type Sweeping } from '../../worker/sweep.ts'
import { aRunningRecord, DAY_MS, START } from '../support/job-builders.ts'

const stuck = (n: number): StoredRecord => ({
  record: aRunningRecord({ key: `key-${n}` }),
  revision: '1',
  ageMs: DAY_MS,
})
const nightly = storedBatch.parse({ name: 'nightly', createdAt: START, total: 1 })

interface Over {
  readonly jobs?: number
  readonly msAWrite?: number
  readonly announce?: Sweeping['announce']
  readonly batch?: Batch
  readonly noteDay?: DailyTokensStore['note']
}

/** A sweep over records that are all stuck; each write takes so much of the clock's time. */
function sweeping(over: Over = {}) {
  const { jobs = 0, msAWrite = 0, announce = async () => undefined, batch = nightly, noteDay } = over
  const clock = { now: START }
  const drain = createDrain()
  const calls: string[] = []
  const parts: Sweeping = {
    documents: {
      async due(_, limit) {
        calls.push(`due ${limit}`)
        return Array.from({ length: jobs }, (_, n) => stuck(n))
      },
      async replace() {
        calls.push('replace')
        clock.now += msAWrite
        return { kind: 'written', revision: '2' }
      },
      countByStatus: async () => ({ succeeded: 1 }),
      sumUsage: async () => ({ promptTokens: 11, completionTokens: 7 }),
    },
    batches: {
      unfinished: async () => [batch].filter(isUnfinished),
      note: async () => void calls.push('note'),
      complete: async () => void calls.push('complete'),
    },
    dailyTokens: noteDay && { note: noteDay },
    async announce(batch) {
      calls.push('announce')
      await announce(batch)
    },
    retry: { maxAttempts: 5, onUnknown: 'retry' },
    resultTtlMs: DAY_MS,
    drain,
    now: () => clock.now,
    log: createLog('silent', { write: () => undefined }),
  }
  return { sweep: createSweep(parts), calls, drain }
}

const count = (calls: readonly string[], name: string) => calls.filter((call) => call === name).length

describe('a sweep', () => {
  test('that meets another on its instance joins it, and the next one is a sweep of its own', async () => {
    const { sweep, calls } = sweeping()
    const [one, two] = await Promise.all([sweep(), sweep()])
    assert.equal(one, two)
    assert.equal(count(calls, 'due 500'), 1)
    await sweep()
    assert.equal(count(calls, 'due 500'), 2)
  })

  test('begins nothing more when its 30 seconds are over: the next one goes on', async () => {
    const { sweep, calls } = sweeping({ jobs: 500, msAWrite: 300 })
    assert.equal((await sweep()).jobs.released, 100)
    assert.deepEqual([count(calls, 'replace'), count(calls, 'note')], [100, 0])
  })

  test('begins nothing more when its instance is about to end', async () => {
    const { sweep, calls, drain } = sweeping({ jobs: 500 })
    const swept = sweep()
    drain.begin(0)
    await swept
    assert.deepEqual([count(calls, 'replace'), count(calls, 'note')], [0, 0])
  })

  test('tells the end of a batch before it marks it completed', async () => {
    const { sweep, calls } = sweeping()
    await sweep()
    assert.deepEqual(calls, ['due 500', 'note', 'announce', 'complete'])
  })

  test('puts a batch off of which the end cannot be told', async () => {
    const announce = () => Promise.reject(new QueueError('unavailable', 'away'))
    const { sweep, calls } = sweeping({ announce })
    assert.deepEqual((await sweep()).batches, { counted: 1, completed: 0, putOff: 1 })
    assert.equal(count(calls, 'complete'), 0)
  })

  test('counts an open batch whose tokens are limited, and never completes it', async () => {
    const batch = storedBatch.parse({ name: 'nightly', createdAt: START, tokenLimit: 5 })
    const { sweep, calls } = sweeping({ batch })
    assert.deepEqual((await sweep()).batches, { counted: 1, completed: 0, putOff: 0 })
    assert.deepEqual(calls, ['due 500', 'note'])
  })

  test('notes what today’s answers took, in UTC', async () => {
    const noted: DailyTokens[] = []
    const { sweep } = sweeping({ noteDay: async (counted) => void noted.push(counted) })
    await sweep()
    assert.deepEqual(noted, [{ day: '2026-11-24', tokens: { promptTokens: 11, completionTokens: 7 }, sweptAt: START }])
  })

  test('does all else although a day cannot be counted', async () => {
    const noteDay = () => Promise.reject(new StoreError('unavailable', 'away'))
    const { sweep, calls } = sweeping({ noteDay })
    assert.equal((await sweep()).batches.completed, 1)
    assert.equal(count(calls, 'complete'), 1)
  })

  test('that fails rejects, and does not stand in the way of the next', async () => {
    let isAway = true
    const announce = async () => {
      if (isAway) throw new TypeError('a fault of our own')
    }
    const { sweep } = sweeping({ announce })
    await assert.rejects(sweep(), TypeError)
    isAway = false
    assert.equal((await sweep()).batches.completed, 1)
  })
})
