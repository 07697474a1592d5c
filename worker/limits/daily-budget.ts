import type { Failure } from '../../shared/job/failures.ts'
import type { Usage } from '../../shared/job/record.ts'
import type { Clock } from '../../shared/lib/clock.ts'
import { settlesWithin } from '../../shared/lib/settles-within.ts'
import { type DailyTokensStore, utcDay } from '../../shared/stores/daily-tokens.ts'
import type { Log } from '../observe/log.ts'
import { createTokenSpending } from './token-spending.ts'

interface DailyBudgetDependencies {
  /** In tokens; undefined: no limit. */
  readonly limit: number | undefined
  /** Rejects with StoreError. */
  readonly read: DailyTokensStore['read']
  readonly now: Clock
  readonly log: Log
}

/** Limits the tokens that are spent in one UTC day. */
export interface DailyBudget {
  /** Why no job is admitted today; undefined if jobs are admitted. Never rejects: an unavailable store stops no job. */
  limitReached(): Promise<Failure | undefined>
  /** Adds the tokens of an answer. */
  spend(usage: Usage): void
}

const READ_EVERY_MS = 5_000
/** A job waits no longer than this for the spent tokens to be read. */
const MAX_WAIT_MS = 1_000

const NO_LIMIT: DailyBudget = { limitReached: async () => undefined, spend: () => undefined }

/** Reads today's count of the sweep every five seconds at most, and only while jobs arrive. */
export function createDailyBudget({ limit, read, now, log }: DailyBudgetDependencies): DailyBudget {
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
      log.warn({ day, error }, "the day's tokens cannot be read now: their last known count stays in effect")
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
      if (current.reading !== undefined) await settlesWithin(current.reading, MAX_WAIT_MS)
      const spent = current.spending.total()
      if (spent < limit) return undefined
      if (!current.isLogged) log.warn({ outcome: 'day_closed', day: current.day, spent, limit }, 'no more jobs today')
      current.isLogged = true
      return overspent(current.day, spent, limit)
    },
    spend: (usage) => beginToday().spending.spend(usage),
  }
}

interface Day {
  readonly day: string
  readonly spending: ReturnType<typeof createTokenSpending>
  readAt: number
  /** Set while the count is being read. */
  reading: Promise<void> | undefined
  /** Whether the reached limit was logged. */
  isLogged: boolean
}

function beginDay(at: number): Day {
  const spending = createTokenSpending()
  return { day: utcDay(at), spending, readAt: Number.NEGATIVE_INFINITY, reading: undefined, isLogged: false }
}

function overspent(day: string, spent: number, limit: number): Failure {
  return {
    kind: 'budget',
    code: 'daily_token_limit',
    message: `${spent} tokens were spent on ${day} (UTC); DAILY_TOKEN_LIMIT is ${limit}`,
    hint: 'Jobs go on at 00:00 UTC, or when DAILY_TOKEN_LIMIT is raised.',
  }
}
