import type { Failure } from '../../shared/job/failures.ts'
import type { Usage } from '../../shared/job/record.ts'
import { endsWithin } from '../../shared/lib/settles-within.ts'
import { type DailyTokensStore, utcDay } from '../../shared/stores/daily-tokens.ts'
import type { Log } from '../observe/log.ts'
import { createTokenSpending } from './token-spending.ts'

interface DailyBudgetParts {
  /** In tokens; undefined: none. */
  readonly limit: number | undefined
  /** Rejects with StoreError. */
  readonly read: DailyTokensStore['read']
  /** Epoch milliseconds. */
  readonly now: () => number
  readonly log: Log
}

/** How many tokens may be spent in a day, from 00:00 UTC on. */
export interface DailyBudget {
  /** Why no job is admitted any more today; undefined while one is. Never rejects: a store that is away stops no job. */
  limitReached(): Promise<Failure | undefined>
  /** Adds what an answer took. */
  spend(usage: Usage): void
}

const READ_EVERY_MS = 5_000
/** Longer than this, no job waits to learn what was spent. */
const MAX_WAIT_MS = 1_000

const NO_LIMIT: DailyBudget = { limitReached: async () => undefined, spend: () => undefined }

/** Reads what the sweep counted of today every five seconds at most, and only while jobs come. */
export function createDailyBudget({ limit, read, now, log }: DailyBudgetParts): DailyBudget {
  if (limit === undefined) return NO_LIMIT
  let today = beginDay(now())

  function beginToday() {
    const at = now()
    if (today.day !== utcDay(at)) today = beginDay(at)
    return today
  }

  async function readInto({ day, spending }: Day): Promise<void> {
    const learn = spending.beginRead()
    try {
      learn(await read(day))
    } catch (error) {
      log.warn({ day, error }, "the day's tokens cannot be read now: what was known of them goes on")
    }
  }

  function readWhenDue(current: Day): void {
    if (now() < current.readAt + READ_EVERY_MS) return
    current.readAt = now()
    const reading = readInto(current).finally(() => {
      if (current.reading === reading) current.reading = undefined
    })
    current.reading = reading
  }

  return {
    async limitReached() {
      const current = beginToday()
      readWhenDue(current)
      if (current.reading !== undefined) await endsWithin(current.reading, MAX_WAIT_MS)
      const spent = current.spending.total()
      if (spent < limit) return undefined
      if (!current.isTold) log.warn({ outcome: 'day_closed', day: current.day, spent, limit }, 'no more jobs today')
      current.isTold = true
      return overspent(current.day, spent, limit)
    },
    spend: (usage) => beginToday().spending.spend(usage),
  }
}

interface Day {
  readonly day: string
  readonly spending: ReturnType<typeof createTokenSpending>
  readAt: number
  /** While it is being read. */
  reading: Promise<void> | undefined
  /** Whether the log says that its limit is reached. */
  isTold: boolean
}

function beginDay(at: number): Day {
  const spending = createTokenSpending()
  return { day: utcDay(at), spending, readAt: Number.NEGATIVE_INFINITY, reading: undefined, isTold: false }
}

function overspent(day: string, spent: number, limit: number): Failure {
  return {
    kind: 'budget',
    code: 'daily_token_limit',
    message: `${spent} tokens were spent on ${day} (UTC); DAILY_TOKEN_LIMIT is ${limit}`,
    hint: 'Jobs go on at 00:00 UTC, or when DAILY_TOKEN_LIMIT is raised.',
  }
}
