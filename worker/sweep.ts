import type { RetryPolicy } from '../shared/job/failures.ts'
import { settledIn, type Usage } from '../shared/job/record.ts'
import type { Log } from '../shared/log.ts'
import type { UnfinishedBatch, UnfinishedBatches } from '../shared/store/batch-store.ts'
import { type DailyTokensStore, utcDay } from '../shared/store/daily-tokens.ts'
import type { RecordDocuments, StoredRecord } from '../shared/store/record-documents.ts'
import { type Swept, sweepJob } from '../shared/store/sweep-job.ts'
import type { Drain } from './drain.ts'
import type { AnnounceBatch } from './events/announce.ts'
import { storeFailure } from './store-failure.ts'
import { unlessRefused } from './sweep-faults.ts'

export interface Sweeping {
  readonly documents: Pick<RecordDocuments, 'due' | 'replace' | 'countByStatus' | 'sumUsage'>
  readonly batches: UnfinishedBatches
  /** Undefined: nobody wants a day's tokens to be counted. */
  readonly dailyTokens: Pick<DailyTokensStore, 'note'> | undefined
  readonly announce: AnnounceBatch
  readonly retry: RetryPolicy
  readonly resultTtlMs: number
  readonly drain: Pick<Drain, 'begun'>
  /** Epoch milliseconds. */
  readonly now: () => number
  readonly log: Log
}

/** What one sweep did; what it had no time for, the next one does. refused: what the store cannot read or take as it is. */
interface SweepSummary {
  readonly jobs: Readonly<Record<Swept | 'refused', number>>
  readonly batches: {
    readonly counted: number
    readonly completed: number
    readonly putOff: number
    readonly refused: number
  }
}

/** Sweeps, or joins the sweep that is under way. Rejects with StoreError. */
export type Sweep = () => Promise<SweepSummary>

/** Cloud Scheduler comes again after a minute. */
const BUDGET_MS = 30_000
/** However many jobs are due, the batches have their time. */
const JOBS_BUDGET_MS = 20_000
const JOBS_A_PAGE = 500
const JOBS_AT_ONCE = 50
const MAX_BATCHES = 100

export function createSweep(sweeping: Sweeping): Sweep {
  let underWay: Promise<SweepSummary> | undefined
  return () => {
    underWay ??= sweepAll(sweeping).finally(() => {
      underWay = undefined
    })
    return underWay
  }
}

async function sweepAll(sweeping: Sweeping): Promise<SweepSummary> {
  const { drain, now, log } = sweeping
  const beganAt = now()
  const isOver = (budgetMs: number) => drain.begun.aborted || now() >= beganAt + budgetMs
  await sweepDay(sweeping)
  // In this order: a batch is counted with what the sweep has just settled.
  const jobs = await sweepJobs(sweeping, () => isOver(JOBS_BUDGET_MS))
  const summary = { jobs, batches: await sweepBatches(sweeping, () => isOver(BUDGET_MS)) }
  log.info({ outcome: 'swept', ...summary }, 'swept')
  return summary
}

/** First, and by itself: neither a long sweep nor a sum that takes too long is to stand in the way of the other. */
async function sweepDay({ documents, dailyTokens, now, log }: Sweeping): Promise<void> {
  if (dailyTokens === undefined) return
  const sweptAt = now()
  const day = utcDay(sweptAt)
  try {
    const tokens = await unlessRefused(log, { query: 'day' }, () => documents.sumUsage({ day }))
    if (tokens !== undefined) await dailyTokens.note({ day, tokens, sweptAt })
  } catch (error) {
    if (storeFailure(error) === undefined) throw error
    log.warn({ day, error }, "a day's tokens cannot be counted now: the next sweep does")
  }
}

async function sweepJobs(sweeping: Sweeping, isOver: () => boolean): Promise<SweepSummary['jobs']> {
  const { documents, now, log } = sweeping
  const done = { left: 0, expired: 0, tooOld: 0, released: 0, ended: 0, raced: 0, refused: 0 }
  await unlessRefused(log, { query: 'due' }, async () => {
    for await (const { records, unreadable } of documents.due(now(), JOBS_A_PAGE)) {
      if (unreadable.length > 0) log.warn({ outcome: 'sweep_refused', jobKeys: unreadable }, 'records of another form')
      done.refused += unreadable.length
      for (let start = 0; start < records.length && !isOver(); start += JOBS_AT_ONCE) {
        const some = records.slice(start, start + JOBS_AT_ONCE)
        for (const swept of await Promise.all(some.map((job) => sweepOne(sweeping, job)))) done[swept] += 1
      }
      if (isOver()) return
    }
  })
  return done
}

async function sweepOne({ documents, retry, resultTtlMs, now, log }: Sweeping, job: StoredRecord) {
  const at = { now: now(), expireAt: now() + resultTtlMs }
  const { key: jobKey } = job.record
  return (await unlessRefused(log, { jobKey }, () => sweepJob(documents, job, retry, at))) ?? 'refused'
}

async function sweepBatches(sweeping: Sweeping, isOver: () => boolean): Promise<SweepSummary['batches']> {
  const { batches, log } = sweeping
  const done = { counted: 0, completed: 0, putOff: 0, refused: 0 }
  const sumTokens = createTokenSum(sweeping)
  const unfinished = await unlessRefused(log, { query: 'unfinished' }, () => batches.unfinished(MAX_BATCHES))
  for (const batch of unfinished ?? []) {
    if (isOver()) break
    done.counted += 1
    const became =
      (await unlessRefused(log, { batch: batch.name }, () => sweepBatch(sweeping, batch, sumTokens))) ?? 'refused'
    if (became !== 'goes_on') done[became] += 1
  }
  return done
}

type TokenSum = (batch: string) => Promise<Usage | undefined>

/** A store that lacks the index for the sum lacks it for every batch: it is told, and asked, once a sweep. */
function createTokenSum({ documents, log }: Sweeping): TokenSum {
  let canSum = true
  return async (batch) => {
    const sum = canSum ? await unlessRefused(log, { query: 'tokens' }, () => documents.sumUsage({ batch })) : undefined
    canSum = sum !== undefined
    return sum
  }
}

/** The event comes first: a batch that is completed is not looked at again, and its event must not be left out. */
async function sweepBatch(
  { documents, batches, announce, now, log }: Sweeping,
  batch: UnfinishedBatch,
  sumTokens: TokenSum,
): Promise<'goes_on' | 'completed' | 'putOff'> {
  const { name } = batch
  const [counts, tokens] = await Promise.all([documents.countByStatus(name), sumTokens(name)])
  const totals = { counts, ...(tokens && { tokens }), sweptAt: now() }
  await batches.note(name, totals)
  if (batch.status === 'open' || settledIn(counts) < batch.total) return 'goes_on'
  try {
    await announce({ ...batch, ...totals })
  } catch (error) {
    if (storeFailure(error) === undefined) throw error
    log.warn({ batch: name, error }, 'the end of a batch cannot be told now: the next sweep does')
    return 'putOff'
  }
  await batches.complete(name, totals.sweptAt)
  return 'completed'
}
