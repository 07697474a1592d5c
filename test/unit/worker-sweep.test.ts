import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { StatusCounts } from '../../shared/job/record.ts'
import { QueueError } from '../../shared/queues/job-queue.ts'
import { type Batch, type BatchTotals, isUnfinished, storedBatch } from '../../shared/stores/batch-store.ts'
import type { DailyTokens, DailyTokensStore } from '../../shared/stores/daily-tokens.ts'
import { StoreError } from '../../shared/stores/job-store.ts'
import type { StoredRecord } from '../../shared/stores/record-documents.ts'
import { createDrain } from '../../worker/delivery/drain.ts'
import type { EndedBatch } from '../../worker/events/batch-event.ts'
import { createLog } from '../../worker/observe/log.ts'
import { createSweep } from '../../worker/sweep/sweep.ts'
import type { Sweeping } from '../../worker/sweep/sweep-course.ts'
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
  /** Whether the database answers the queries for all jobs, and for all batches. */
  readonly queries?: { readonly due?: Error; readonly unfinished?: Error }
  /** What the store says to an action on a record or a batch; undefined: it takes it. */
  readonly faultAt?: (action: Action, name: string) => Error | undefined
  readonly onCount?: (batch: string) => Promise<void>
  /** How many records of a batch have each status. */
  readonly counts?: StatusCounts
}

type Action = 'replace' | 'count' | 'sum' | 'note' | 'defer'
const away = () => new StoreError('unavailable', 'away')

/** The store does not take this action; with a name, only where it is on that record or batch. */
const failing =
  (action: Action, name?: string, fault = away()): NonNullable<Story['faultAt']> =>
  (at, on) =>
    at === action && (name === undefined || on === name) ? fault : undefined

/** A sweep over records that are all stuck; each write takes so much of the clock's time. */
function sweeping(over: Story = {}) {
  const { jobs = 0, unreadable = [], batches = [sealed('nightly')], msAWrite = 0 } = over
  const clock = { now: START }
  const drain = createDrain()
  const calls: string[] = []
  const noted: BatchTotals[] = []
  const announced: EndedBatch[] = []
  const lines: string[] = []
  const refuse = (...at: Parameters<NonNullable<Story['faultAt']>>) => {
    const fault = over.faultAt?.(...at)
    if (fault !== undefined) throw fault
  }
  const parts: Sweeping = {
    documents: {
      async *due(_, pageSize) {
        if (over.queries?.due) throw over.queries.due
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
        await over.onCount?.(batch)
        refuse('count', batch)
        return over.counts ?? { succeeded: 1 }
      },
      async sumUsage(of) {
        calls.push('sum')
        refuse('sum', 'batch' in of ? of.batch : of.day)
        return { promptTokens: 11, completionTokens: 7 }
      },
    },
    batches: {
      async *unfinished(pageSize) {
        if (over.queries?.unfinished) throw over.queries.unfinished
        const unfinished = batches.filter(isUnfinished)
        for (let from = 0; from === 0 || from < unfinished.length; from += pageSize) {
          yield unfinished.slice(from, from + pageSize)
        }
        // What was looked at is behind what was not: it comes again.
        yield unfinished.slice(0, pageSize)
      },
      async note(name, totals) {
        calls.push('note')
        refuse('note', name)
        noted.push(totals)
      },
      async defer(name) {
        calls.push(`defer ${name}`)
        refuse('defer', name)
      },
      leaveOut: async ({ name }) => void calls.push(`leave out ${name}`),
      end: async (_, { as }) => void calls.push(as),
    },
    dailyTokens: over.noteDay && { note: over.noteDay },
    async announce(batch) {
      calls.push('announce')
      announced.push(batch)
      await over.announce?.(batch)
    },
    retry: { maxAttempts: 5, onUnknown: 'retry' },
    resultTtlMs: DAY_MS,
    maxJobAgeMs: 7 * DAY_MS,
    drain,
    now: () => clock.now,
    log: createLog('info', { write: (line) => lines.push(line) }),
  }
  return { sweep: createSweep(parts), calls, drain, noted, announced, logText: () => lines.join('') }
}

const NONE = { counted: 0, completed: 0, incomplete: 0, leftOut: 0, deferred: 0, refused: 0 }

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

  test('begins nothing more when its 30 seconds are over, and says so: the next one goes on', async () => {
    const { sweep, calls } = sweeping({ jobs: 500, msAWrite: 300 })
    const { jobs, outOfTime, batches } = await sweep()
    assert.deepEqual([jobs.released, outOfTime, batches.counted], [100, true, 0])
    assert.deepEqual([count(calls, 'replace'), count(calls, 'note')], [100, 0])
    assert.equal((await sweeping().sweep()).outOfTime, false)
  })

  test('goes on page by page until no job is due', async () => {
    const { sweep, calls } = sweeping({ jobs: 1_201 })
    assert.equal((await sweep()).jobs.released, 1_201)
    assert.equal(count(calls, 'due 500'), 3)
  })

  test('leaves the batches ten seconds, however many jobs are due', async () => {
    const { sweep, calls } = sweeping({ jobs: 5_000, msAWrite: 20 })
    assert.equal((await sweep()).jobs.released, 1_000)
    assert.deepEqual([count(calls, 'due 500'), count(calls, 'completed')], [2, 1])
  })

  test('begins nothing more when its instance is about to end', async () => {
    const { sweep, calls, drain } = sweeping({ jobs: 500 })
    const swept = sweep()
    drain.begin(0)
    await swept
    assert.deepEqual([count(calls, 'replace'), count(calls, 'note')], [0, 0])
  })

  test('publishes the end of a batch before it marks it completed', async () => {
    const { sweep, calls } = sweeping()
    await sweep()
    assert.deepEqual(calls, ['due 500', 'sum', 'note', 'announce', 'completed'])
  })

  test('defers a batch of which the end cannot be published', async () => {
    const { sweep, calls } = sweeping({ announce: () => Promise.reject(new QueueError('unavailable', 'away')) })
    assert.deepEqual((await sweep()).batches, { ...NONE, counted: 1, deferred: 1 })
    assert.equal(count(calls, 'completed'), 0)
  })

  test('counts an open batch whose tokens are limited, and never completes it', async () => {
    const batch = storedBatch.parse({ name: 'nightly', createdAt: START, tokenLimit: 5 })
    const { sweep, calls } = sweeping({ batches: [batch] })
    assert.deepEqual((await sweep()).batches, { ...NONE, counted: 1 })
    assert.deepEqual(calls, ['due 500', 'sum', 'note'])
  })

  test('notes what today’s answers took, in UTC', async () => {
    const noted: DailyTokens[] = []
    const { sweep } = sweeping({ noteDay: async (counted) => void noted.push(counted) })
    await sweep()
    assert.deepEqual(noted, [{ day: '2026-11-24', tokens: { promptTokens: 11, completionTokens: 7 }, sweptAt: START }])
  })

  test('does all else although a day cannot be counted, and says so', async () => {
    const { sweep, calls, logText } = sweeping({ noteDay: () => Promise.reject(away()) })
    const { batches, deferred } = await sweep()
    assert.deepEqual([batches.completed, deferred], [1, ['day']])
    assert.equal(count(calls, 'completed'), 1)
    assert.match(logText(), /"outcome":"sweep_deferred","part":"day"/)
  })

  test('does not wait for the sum of a day before it sweeps', async () => {
    const { promise: swept, resolve } = Promise.withResolvers<void>()
    const { sweep } = sweeping({ noteDay: () => swept, announce: async () => resolve() })
    assert.equal((await sweep()).batches.completed, 1)
  })

  for (const code of ['refused', 'corrupt', 'no_index'] as const) {
    test(`leaves out a record and a batch to which the store says ${code}, and reaches the others`, async () => {
      const isBad = (name: string) => name === 'key-3' || name === 'bad'
      const faultAt: Story['faultAt'] = (action, name) =>
        action !== 'sum' && isBad(name) ? new StoreError(code, 'does not end by itself') : undefined
      const story = { jobs: 70, unreadable: ['key-x'], batches: ['bad', 'good'].map(sealed), faultAt }
      const { sweep, logText } = sweeping(story)
      const { jobs, batches } = await sweep()
      assert.deepEqual([jobs.released, jobs.refused], [69, 2])
      assert.deepEqual(batches, { ...NONE, counted: 2, completed: 1, refused: 1 })
      for (const name of ['"jobKey":"key-3"', '"jobKeys":["key-x"]', '"batch":"bad"'])
        assert.ok(logText().includes(name))
    })
  }

  test('of a store that answers nothing rejects', async () => {
    const queries = { due: away(), unfinished: away() }
    await assert.rejects(sweeping({ queries }).sweep(), { code: 'unavailable' })
  })

  test('of a store that counts nothing and takes no mark rejects, and begins no other batch', async () => {
    const faultAt: Story['faultAt'] = (action) => (action === 'replace' ? undefined : away())
    const batches = Array.from({ length: 50 }, (_, n) => sealed(`batch-${n}`))
    const { sweep, calls } = sweeping({ batches, faultAt })
    await assert.rejects(sweep(), { code: 'unavailable' })
    assert.ok(calls.filter((call) => call.startsWith('defer')).length <= 8)
  })

  for (const [query, part] of [
    ['due', 'jobs'],
    ['unfinished', 'batches'],
  ] as const) {
    test(`that cannot read its ${part} does the rest, and says so`, async () => {
      const { sweep } = sweeping({ jobs: 3, queries: { [query]: away() } })
      const { jobs, batches, deferred } = await sweep()
      assert.deepEqual([jobs.released, batches.completed], part === 'jobs' ? [0, 1] : [3, 0])
      assert.deepEqual(deferred, [part])
    })
  }

  test('defers a job that the store does not take now, and reaches the others', async () => {
    const { sweep, logText } = sweeping({ jobs: 70, faultAt: failing('replace', 'key-3') })
    const { jobs } = await sweep()
    assert.deepEqual([jobs.released, jobs.deferred], [69, 1])
    assert.match(logText(), /"outcome":"sweep_deferred","jobKey":"key-3"/)
  })

  for (const action of ['count', 'sum', 'note'] as const) {
    test(`defers a batch of which the ${action} takes too long: the others are counted, and come first next time`, async () => {
      const slow = { batches: ['slow', 'a', 'b'].map(sealed), faultAt: failing(action, 'slow') }
      const { sweep, calls, logText } = sweeping(slow)
      assert.deepEqual((await sweep()).batches, { ...NONE, counted: 3, completed: 2, deferred: 1 })
      assert.equal(count(calls, 'defer slow'), 1)
      assert.match(logText(), /"outcome":"sweep_deferred","batch":"slow"/)
    })
  }

  test('counts other batches while one takes long', async () => {
    const { promise: others, resolve } = Promise.withResolvers<void>()
    let counted = 0
    const onCount = async (batch: string) => {
      if (batch === 'slow') await others
      counted += 1
      if (counted === 300) resolve()
    }
    const names = ['slow', ...Array.from({ length: 300 }, (_, n) => `batch-${n}`)]
    const { sweep } = sweeping({ batches: names.map(sealed), onCount })
    assert.equal((await sweep()).batches.completed, 301)
  })

  test('is hidden no batch by a hundred that the store refuses for good', async () => {
    const faultAt: Story['faultAt'] = (action, name) =>
      (action === 'note' || action === 'defer') && name.startsWith('bad') ? new StoreError('refused', 'no') : undefined
    const bad = Array.from({ length: 100 }, (_, n) => sealed(`bad-${n}`))
    const { sweep } = sweeping({ batches: [...bad, sealed('good')], faultAt })
    assert.deepEqual((await sweep()).batches, { ...NONE, counted: 101, completed: 1, refused: 100 })
  })

  test('that cannot sum tokens for want of an index completes batches all the same, and logs it once', async () => {
    const faultAt = failing('sum', undefined, new StoreError('no_index', 'fix it'))
    const { sweep, noted, logText } = sweeping({ batches: ['a', 'b', 'c'].map(sealed), faultAt })
    assert.equal((await sweep()).batches.completed, 3)
    assert.deepEqual(noted[2], { counts: { succeeded: 1 }, sweptAt: START, activeAt: START })
    const logged = logText()
      .split('\n')
      .filter((line) => line.includes('"part":"tokens"'))
    assert.equal(logged.length, 1)
    assert.match(logged[0] ?? '', /fix it/)
  })

  test('that meets an internal error does the rest, then rejects, and does not stand in the way of the next', async () => {
    let isWrong = true
    const announce: Story['announce'] = async ({ name }) => {
      if (isWrong && name === 'a') throw new TypeError('internal error')
    }
    const { sweep, calls } = sweeping({ announce, batches: ['a', 'b'].map(sealed) })
    await assert.rejects(sweep(), TypeError)
    assert.equal(count(calls, 'completed'), 1)
    isWrong = false
    assert.equal((await sweep()).batches.completed, 2)
  })
})

describe('the end of a batch that cannot complete', () => {
  const AGE = 8 * DAY_MS
  const old = (over: object = {}) => storedBatch.parse({ name: 'nightly', createdAt: START - AGE, total: 2, ...over })

  test('is announced once, and then marked: no job of it can come any more', async () => {
    const { sweep, calls, announced } = sweeping({ batches: [old()] })
    assert.deepEqual((await sweep()).batches, { ...NONE, counted: 1, incomplete: 1 })
    assert.deepEqual(calls, ['due 500', 'sum', 'note', 'announce', 'incomplete'])
    assert.partialDeepStrictEqual(announced, [
      { name: 'nightly', as: 'incomplete', total: 2, counts: { succeeded: 1 } },
    ])
  })

  test('does not come while a record of it waits or runs', async () => {
    for (const status of ['waiting', 'running'] as const) {
      const { sweep } = sweeping({ batches: [old()], counts: { succeeded: 1, [status]: 1 } })
      assert.deepEqual((await sweep()).batches, { ...NONE, counted: 1 }, status)
    }
  })

  test('does not come while it cannot be counted', async () => {
    const { sweep } = sweeping({ batches: [old()], faultAt: failing('count') })
    assert.deepEqual((await sweep()).batches, { ...NONE, counted: 1, deferred: 1 })
  })

  test('is not held up by a sum that takes too long', async () => {
    const batches = [old(), { ...old({ total: 1 }), name: 'whole' }]
    const { sweep, announced } = sweeping({ batches, faultAt: failing('sum') })
    assert.deepEqual((await sweep()).batches, { ...NONE, counted: 2, completed: 1, incomplete: 1 })
    const tokens = announced.map(({ tokens }) => tokens)
    assert.deepEqual(tokens, [undefined, undefined])
  })

  test('is none of an open batch: that is counted no more when nothing happened in it for as long', async () => {
    const counted = { tokenLimit: 5, counts: { succeeded: 1 }, sweptAt: START, activeAt: START - AGE }
    const { sweep, calls } = sweeping({ batches: [old({ total: undefined, ...counted })] })
    assert.deepEqual((await sweep()).batches, { ...NONE, counted: 1, leftOut: 1 })
    assert.deepEqual(calls, ['due 500', 'sum', 'note', 'leave out nightly'])
  })
})
