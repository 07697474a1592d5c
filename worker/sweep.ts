import type { RetryPolicy } from '../shared/job/failures.ts'
import { settledIn } from '../shared/job/record.ts'
import type { Log } from '../shared/log.ts'
import type { UnfinishedBatch, UnfinishedBatches } from '../shared/store/batch-store.ts'
import { type DailyTokensStore, utcDay } from '../shared/store/daily-tokens.ts'
import type { RecordDocuments } from '../shared/store/record-documents.ts'
import { type Swept, sweepJob } from '../shared/store/sweep-job.ts'
import type { Drain } from './drain.ts'
import type { AnnounceBatch } from './events/announce.ts'
import { storeFailure } from './store-failure.ts'

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

/** What one sweep did; what it had no time for, the next one does. */
interface SweepSummary {
  readonly jobs: Readonly<Record<Swept, number>>
  readonly batches: { readonly counted: number; readonly completed: number; readonly putOff: number }
}

/** Sweeps, or joins the sweep that is under way. Rejects with StoreError. */
export type Sweep = () => Promise<SweepSummary>

/** Cloud Scheduler comes again after a minute. */
const BUDGET_MS = 30_000
const MAX_JOBS = 500
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
  const endsAt = now() + BUDGET_MS
  const isOver = () => drain.begun.aborted || now() >= endsAt
  await sweepDay(sweeping)
  // In this order: a batch is counted with what the sweep has just settled.
  const jobs = await sweepJobs(sweeping, isOver)
  const summary = { jobs, batches: await sweepBatches(sweeping, isOver) }
  log.info({ outcome: 'swept', ...summary }, 'swept')
  return summary
}

/** First, and by itself: neither a long sweep nor a sum that takes too long is to stand in the way of the other. */
async function sweepDay({ documents, dailyTokens, now, log }: Sweeping): Promise<void> {
  if (dailyTokens === undefined) return
  const sweptAt = now()
  const day = utcDay(sweptAt)
  try {
    await dailyTokens.note({ day, tokens: await documents.sumUsage({ day }), sweptAt })
  } catch (error) {
    if (storeFailure(error) === undefined) throw error
    log.warn({ day, error }, "a day's tokens cannot be counted now: the next sweep does")
  }
}

async function sweepJobs(sweeping: Sweeping, isOver: () => boolean): Promise<SweepSummary['jobs']> {
  const { documents, retry, resultTtlMs, now } = sweeping
  const done = { left: 0, expired: 0, tooOld: 0, released: 0, ended: 0, raced: 0 }
  const due = await documents.due(now(), MAX_JOBS)
  for (let start = 0; start < due.length && !isOver(); start += JOBS_AT_ONCE) {
    const at = { now: now(), expireAt: now() + resultTtlMs }
    const some = due.slice(start, start + JOBS_AT_ONCE)
    for (const swept of await Promise.all(some.map((job) => sweepJob(documents, job, retry, at)))) done[swept] += 1
  }
  return done
}

async function sweepBatches(sweeping: Sweeping, isOver: () => boolean): Promise<SweepSummary['batches']> {
  const done = { counted: 0, completed: 0, putOff: 0 }
  for (const batch of await sweeping.batches.unfinished(MAX_BATCHES)) {
    if (isOver()) break
    done.counted += 1
    const became = await sweepBatch(sweeping, batch)
    if (became !== 'goes_on') done[became] += 1
  }
  return done
}

/** The event comes first: a batch that is completed is not looked at again, and its event must not be left out. */
async function sweepBatch(
  { documents, batches, announce, now, log }: Sweeping,
  batch: UnfinishedBatch,
): Promise<'goes_on' | 'completed' | 'putOff'> {
  const { name } = batch
  const [counts, tokens] = await Promise.all([documents.countByStatus(name), documents.sumUsage({ batch: name })])
  const totals = { counts, tokens, sweptAt: now() }
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
