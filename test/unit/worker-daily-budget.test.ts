import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { DailyTokens } from '../../shared/stores/daily-tokens.ts'
import { StoreError } from '../../shared/stores/job-store.ts'
import { createDailyBudget } from '../../worker/limits/daily-budget.ts'
import { createLog } from '../../worker/observe/log.ts'
import { DAY_MS, START } from '../support/job-builders.ts'

const TODAY = '2026-11-24'
const MIDNIGHT = Date.UTC(2026, 10, 25)
const usage = (tokens: number) => ({ promptTokens: tokens - 1, completionTokens: 1 })
const counted = (tokens: number, sweptAt = START): DailyTokens => ({ day: TODAY, tokens: usage(tokens), sweptAt })

/** A budget over a clock that the test moves; `found` is what the next read finds, or the error it meets. */
function budgeted(limit: number | undefined) {
  type Found = DailyTokens | undefined | Error | Promise<undefined>
  const state: { now: number; found: Found } = { now: START, found: undefined }
  const [reads, lines]: [string[], string[]] = [[], []]
  const read = async (day: string) => {
    reads.push(day)
    if (state.found instanceof Error) throw state.found
    return state.found
  }
  const log = createLog('info', { write: (line) => lines.push(line) })
  const budget = createDailyBudget({ limit, read, now: () => state.now, log })
  return {
    ...{ state, reads, lines, spend: (tokens: number) => budget.spend(usage(tokens)) },
    limitReached: () => budget.limitReached(),
    isOpen: async () => (await budget.limitReached()) === undefined,
  }
}

describe('the budget of a day', () => {
  test('without a limit is always open, and reads nothing', async () => {
    const on = budgeted(undefined)
    on.spend(1_000_000)
    assert.deepEqual([await on.limitReached(), on.reads], [undefined, []])
  })

  test('closes with the very token that reaches it', async () => {
    const on = budgeted(100)
    on.spend(99)
    assert.equal(await on.isOpen(), true)
    on.spend(1)
    assert.equal(await on.isOpen(), false)
  })

  test('counts what the sweep counted and what was settled here since', async () => {
    const on = budgeted(100)
    on.state.found = counted(90)
    assert.equal(await on.isOpen(), true)
    on.spend(10)
    assert.deepEqual(await on.limitReached(), {
      kind: 'budget',
      code: 'daily_token_limit',
      message: '100 tokens were spent on 2026-11-24 (UTC); DAILY_TOKEN_LIMIT is 100',
      hint: 'Jobs go on at 00:00 UTC, or when DAILY_TOKEN_LIMIT is raised.',
    })
  })

  test('is read once by a thousand jobs that come together, and once in five seconds by all that follow', async () => {
    const on = budgeted(100)
    await Promise.all(Array.from({ length: 1_000 }, on.isOpen))
    on.state.now += 4_999
    await on.isOpen()
    assert.deepEqual(on.reads, [TODAY])
    on.state.now += 1
    on.state.found = counted(100)
    assert.deepEqual([await on.isOpen(), on.reads.length], [false, 2])
  })

  test('opens at 00:00 UTC, and not a millisecond before', async () => {
    const on = budgeted(100)
    on.spend(100)
    on.state.now = MIDNIGHT - 1
    assert.equal(await on.isOpen(), false)
    on.state.now = MIDNIGHT
    assert.equal(await on.isOpen(), true)
    assert.equal(on.reads.at(-1), '2026-11-25')
    on.spend(100)
    assert.equal(await on.isOpen(), false)
  })

  test('is logged in one line a day when it closes, however many jobs it defers', async () => {
    const on = budgeted(100)
    for (const now of [START, START + 60_000, START + DAY_MS]) {
      on.state.now = now
      on.spend(100)
      for (let job = 0; job < 10; job += 1) await on.isOpen()
    }
    const logged = on.lines.map((line) => JSON.parse(line))
    assert.deepEqual(
      logged.map(({ severity, outcome, day, spent, limit }) => [severity, outcome, day, spent, limit]),
      [TODAY, '2026-11-25'].map((day) => ['WARNING', 'day_closed', day, 100, 100]),
    )
  })

  test('opens again when the sweep counts less than was thought', async () => {
    const on = budgeted(100)
    on.state.found = counted(50)
    await on.isOpen()
    on.spend(50)
    assert.equal(await on.isOpen(), false)
    on.state.now += 5_000
    await on.isOpen()
    on.state.now += 5_000
    on.state.found = counted(60, START + 60_000)
    assert.equal(await on.isOpen(), true)
  })

  test('stops no job while the store is away, and goes on with what is known', async () => {
    const on = budgeted(100)
    on.state.found = new StoreError('unavailable', 'away')
    assert.equal(await on.isOpen(), true)
    on.spend(100)
    assert.equal(await on.isOpen(), false)
  })

  test('lets no job wait longer than a second for a store that hangs', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const on = budgeted(100)
    on.state.found = new Promise<undefined>(() => undefined)
    const reached = on.limitReached().then(() => 'decided')
    t.mock.timers.tick(999)
    assert.equal(await Promise.race([reached, new Promise((done) => setImmediate(done, 'waiting'))]), 'waiting')
    t.mock.timers.tick(1)
    assert.equal(await reached, 'decided')
  })
})
