import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createLog } from '../../shared/log.ts'
import { QueueError } from '../../shared/queue/job-queue.ts'
import { type Batch, type BatchTotals, isUnfinished, storedBatch } from '../../shared/store/batch-store.ts'
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
const sealed = (name: string) => storedBatch.parse({ name, createdAt: START, total: 1 })

interface Story {
  readonly jobs?: number
  readonly unreadable?: readonly string[]
  readonly batches?: readonly Batch[]
  readonly msAWrite?: number
  readonly announce?: Sweeping['announce']
  readonly noteDay?: DailyTokensStore['note']
  /** What the store says to an action on a record or a batch; undefined: it takes it. */
  readonly faultAt?: (action: 'replace' | 'count' | 'sum', name: string) => StoreError | undefined
}

/** A sweep over records that are all stuck; each write takes so much of the clock's time. */
function sweeping(over: Story = {}) {
  const {
    jobs = 0,
    unreadable = [],
    batches = [sealed('nightly')],
    msAWrite = 0,
    announce = async () => undefined,
  } = over
  const clock = { now: START }
  const drain = createDrain()
  const calls: string[] = []
  const noted: BatchTotals[] = []
  let lines = ''
  const refuse = (...at: Parameters<NonNullable<Story['faultAt']>>) => {
    const fault = over.faultAt?.(...at)
    if (fault !== undefined) throw fault
  }
  const parts: Sweeping = {
    documents: {
      async *due(_, pageSize) {
        for (let from = 0; from < jobs || from === 0; from += pageSize) {
          calls.push(`due ${pageSize}`)
          const records = Array.from({ length: Math.min(pageSize, jobs - from) }, (_, n) => stuck(from + n))
          yield { records, unreadable: from === 0 ? unreadable : [] }
        }
      },
      async replace(record) {
        calls.push('replace')
        clock.now += msAWrite
        refuse('replace', record.key)
        return { kind: 'written', revision: '2' }
      },
      async countByStatus(batch) {
        refuse('count', batch)
        return { succeeded: 1 }
      },
      async sumUsage(of) {
        calls.push('sum')
        refuse('sum', 'batch' in of ? of.batch : of.day)
        return { promptTokens: 11, completionTokens: 7 }
      },
    },
    batches: {
      unfinished: async () => batches.filter(isUnfinished),
      async note(_, totals) {
        calls.push('note')
        noted.push(totals)
      },
      complete: async () => void calls.push('complete'),
    },
    dailyTokens: over.noteDay && { note: over.noteDay },
    async announce(batch) {
      calls.push('announce')
      await announce(batch)
    },
    retry: { maxAttempts: 5, onUnknown: 'retry' },
    resultTtlMs: DAY_MS,
    drain,
    now: () => clock.now,
    log: createLog('info', {
      write(line: string) {
        lines += line
      },
    }),
  }
  return { sweep: createSweep(parts), calls, drain, noted, logText: () => lines }
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

  test('goes on page by page until no job is due', async () => {
    const { sweep, calls } = sweeping({ jobs: 1_201 })
    assert.equal((await sweep()).jobs.released, 1_201)
    assert.equal(count(calls, 'due 500'), 3)
  })

  test('leaves the batches ten seconds, however many jobs are due', async () => {
    const { sweep, calls } = sweeping({ jobs: 5_000, msAWrite: 20 })
    assert.equal((await sweep()).jobs.released, 1_000)
    assert.deepEqual([count(calls, 'due 500'), count(calls, 'complete')], [2, 1])
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
    assert.deepEqual(calls, ['due 500', 'sum', 'note', 'announce', 'complete'])
  })

  test('puts a batch off of which the end cannot be told', async () => {
    const announce = () => Promise.reject(new QueueError('unavailable', 'away'))
    const { sweep, calls } = sweeping({ announce })
    assert.deepEqual((await sweep()).batches, { counted: 1, completed: 0, putOff: 1, refused: 0 })
    assert.equal(count(calls, 'complete'), 0)
  })

  test('counts an open batch whose tokens are limited, and never completes it', async () => {
    const batch = storedBatch.parse({ name: 'nightly', createdAt: START, tokenLimit: 5 })
    const { sweep, calls } = sweeping({ batches: [batch] })
    assert.deepEqual((await sweep()).batches, { counted: 1, completed: 0, putOff: 0, refused: 0 })
    assert.deepEqual(calls, ['due 500', 'sum', 'note'])
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

  for (const code of ['refused', 'corrupt', 'no_index'] as const) {
    test(`leaves out a record and a batch to which the store says ${code}, and reaches the others`, async () => {
      const isBad = (name: string) => name === 'key-3' || name === 'bad'
      const faultAt: Story['faultAt'] = (action, name) =>
        action !== 'sum' && isBad(name) ? new StoreError(code, 'not to be mended by itself') : undefined
      const { sweep, logText } = sweeping({
        jobs: 70,
        unreadable: ['key-x'],
        batches: ['bad', 'good'].map(sealed),
        faultAt,
      })
      const { jobs, batches } = await sweep()
      assert.deepEqual([jobs.released, jobs.refused], [69, 2])
      assert.deepEqual(batches, { counted: 2, completed: 1, putOff: 0, refused: 1 })
      for (const name of ['"jobKey":"key-3"', '"jobKeys":["key-x"]', '"batch":"bad"'])
        assert.ok(logText().includes(name))
    })
  }

  test('of a store that is away rejects, whatever it was about', async () => {
    for (const away of ['replace', 'count', 'sum']) {
      const faultAt: Story['faultAt'] = (action) =>
        action === away ? new StoreError('unavailable', 'away') : undefined
      await assert.rejects(sweeping({ jobs: 1, faultAt }).sweep(), { code: 'unavailable' }, away)
    }
  })

  test('that cannot sum tokens for want of an index completes batches all the same, and tells it once', async () => {
    const faultAt: Story['faultAt'] = (action) => (action === 'sum' ? new StoreError('no_index', 'mend it') : undefined)
    const { sweep, calls, noted, logText } = sweeping({ batches: ['a', 'b', 'c'].map(sealed), faultAt })
    assert.equal((await sweep()).batches.completed, 3)
    assert.deepEqual(noted[2], { counts: { succeeded: 1 }, sweptAt: START })
    const told = logText()
      .split('\n')
      .filter((line) => line.includes('"query":"tokens"'))
    assert.deepEqual([count(calls, 'sum'), told.length], [1, 1])
    assert.match(told[0] ?? '', /mend it/)
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
