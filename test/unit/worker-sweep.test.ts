import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createLog } from '../../shared/log.ts'
import { QueueError } from '../../shared/queue/job-queue.ts'
import { storedBatch } from '../../shared/store/batch-store.ts'
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

/** A sweep over records that are all stuck; each write takes so much of the clock's time. */
function sweeping(over: { jobs?: number; msAWrite?: number; announce?: Sweeping['announce'] } = {}) {
  const { jobs = 0, msAWrite = 0, announce = async () => undefined } = over
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
      unfinished: async () => (nightly.status === 'sealed' ? [nightly] : []),
      note: async () => void calls.push('note'),
      complete: async () => void calls.push('complete'),
    },
    dailyTokens: undefined,
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
