import { utcDay } from '../../shared/stores/daily-tokens.ts'
import type { StoredRecord } from '../../shared/stores/record-documents.ts'
import { type BatchesSummary, sweepBatches } from './sweep-batches.ts'
import { beginCourse, type LeftOver, type SweepCourse, type Sweeping } from './sweep-course.ts'
import { type Swept, sweepJob } from './sweep-job.ts'

/** The result of one sweep, and what it left to the next. */
interface SweepSummary extends LeftOver {
  /** deferred: not possible now. refused: the store cannot read or write the record. */
  readonly jobs: Readonly<Record<Swept | 'deferred' | 'refused', number>>
  readonly batches: BatchesSummary
}

/** Sweeps, or joins the sweep that is under way. Rejects with StoreError if the store is unavailable. */
export type Sweep = () => Promise<SweepSummary>

/** Cloud Scheduler calls again after a minute. */
const BUDGET_MS = 30_000
/** Leaves time for the batches, however many jobs are due. */
const JOBS_BUDGET_MS = 20_000
const JOBS_A_PAGE = 500
const JOBS_AT_ONCE = 50

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
  const course = beginCourse(sweeping)
  // In parallel, so that a long sweep and a slow sum do not delay each other.
  const day = course.attempt({ part: 'day' }, () => sweepDay(sweeping))
  // Jobs come before batches, so that the counts include jobs that this sweep settled.
  const jobs = await sweepJobs(sweeping, course)
  const batches = await sweepBatches(sweeping, course, () => course.isOver(BUDGET_MS))
  await day
  const summary = { jobs, batches, ...course.leftOver() }
  sweeping.log.info({ outcome: 'swept', ...summary }, 'swept')
  course.throwIfFailed()
  return summary
}

async function sweepDay({ documents, dailyTokens, now }: Sweeping): Promise<void> {
  if (dailyTokens === undefined) return
  const sweptAt = now()
  const day = utcDay(sweptAt)
  await dailyTokens.note({ day, tokens: await documents.sumUsage({ day }), sweptAt })
}

async function sweepJobs(sweeping: Sweeping, course: SweepCourse): Promise<SweepSummary['jobs']> {
  const { documents, now, log } = sweeping
  const isOver = () => course.isOver(JOBS_BUDGET_MS)
  const done = { left: 0, expired: 0, tooOld: 0, released: 0, ended: 0, raced: 0, deferred: 0, refused: 0 }
  await course.attempt({ part: 'jobs' }, async () => {
    for await (const { records, unreadable } of documents.due(now(), JOBS_A_PAGE)) {
      if (unreadable.length > 0) log.warn({ outcome: 'sweep_refused', jobKeys: unreadable }, 'malformed records')
      done.refused += unreadable.length
      for (let start = 0; start < records.length && !isOver(); start += JOBS_AT_ONCE) {
        const some = records.slice(start, start + JOBS_AT_ONCE)
        for (const swept of await Promise.all(some.map((job) => sweepOne(sweeping, course, job)))) done[swept] += 1
      }
      if (isOver()) return
    }
  })
  return done
}

async function sweepOne({ documents, retry, resultTtlMs, now }: Sweeping, course: SweepCourse, job: StoredRecord) {
  const at = { now: now(), expireAt: now() + resultTtlMs }
  const { key: jobKey } = job.record
  const swept = await course.attempt({ jobKey }, () => sweepJob(documents, job, retry, at))
  return swept.kind === 'done' ? swept.value : swept.kind
}
