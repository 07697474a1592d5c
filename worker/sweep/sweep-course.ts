import type { RetryPolicy } from '../../shared/job/failures.ts'
import type { Clock } from '../../shared/lib/clock.ts'
import type { UnfinishedBatches } from '../../shared/stores/batch-store.ts'
import type { DailyTokensStore } from '../../shared/stores/daily-tokens.ts'
import { StoreError } from '../../shared/stores/job-store.ts'
import type { RecordDocuments } from '../../shared/stores/record-documents.ts'
import type { Drain } from '../delivery/drain.ts'
import { storeFailure } from '../delivery/failures.ts'
import type { AnnounceBatch } from '../events/announce.ts'
import type { Log } from '../observe/log.ts'

export interface Sweeping {
  readonly documents: Pick<RecordDocuments, 'due' | 'replace' | 'countByStatus' | 'sumUsage'>
  readonly batches: UnfinishedBatches
  /** Undefined: a day's tokens are not counted. */
  readonly dailyTokens: Pick<DailyTokensStore, 'note'> | undefined
  readonly announce: AnnounceBatch
  readonly retry: RetryPolicy
  readonly resultTtlMs: number
  readonly maxJobAgeMs: number
  readonly drain: Pick<Drain, 'begun'>
  readonly now: Clock
  readonly log: Log
}

/** A query of a sweep that concerns no single job or batch. */
type SweepPart = 'day' | 'jobs' | 'batches' | 'tokens'

/** Names in the log what a part of the sweep concerns. */
type About = { readonly jobKey: string } | { readonly batch: string } | { readonly part: SweepPart }

/** What a sweep left undone. */
export interface LeftOver {
  /** Queries that failed for now. The next sweep retries them. */
  readonly deferred: readonly SweepPart[]
  /** Queries that the store refuses until a person fixes the cause, such as a missing index. */
  readonly refused: readonly SweepPart[]
  /** Whether the sweep ran out of time. */
  readonly outOfTime: boolean
}

/** refused: a retry would fail as well. deferred: the next sweep retries. */
type Attempted<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'refused' | 'deferred'; readonly error: unknown }

/** One sweep under way. */
export interface SweepCourse {
  /** Does one part of the sweep. A failure is logged, and the sweep continues. Never rejects. */
  attempt<T>(about: About, work: () => Promise<T>): Promise<Attempted<T>>
  /** Logs the failure of one part. */
  report(about: About, error: unknown): 'refused' | 'deferred'
  /** Records that the store is unavailable: no other part is begun. */
  storeIsAway(error: unknown): void
  /** Whether the sweep must not begin another part: its time since the beginning, in milliseconds, is over. */
  isOver(budgetMs: number): boolean
  leftOver(): LeftOver
  /** Throws the error that made the sweep fail: an internal error, or the error of an unavailable store. */
  throwIfFailed(): void
}

interface State {
  readonly parts: Readonly<Record<'deferred' | 'refused', Set<SweepPart>>>
  outOfTime: boolean
  fault: { readonly error: unknown } | undefined
  away: { readonly error: unknown } | undefined
}

export function beginCourse({ drain, now, log }: Sweeping): SweepCourse {
  const beganAt = now()
  const parts = { deferred: new Set<SweepPart>(), refused: new Set<SweepPart>() }
  const state: State = { parts, outOfTime: false, fault: undefined, away: undefined }

  function report(about: About, error: unknown): 'refused' | 'deferred' {
    const kind = isRefused(error) ? 'refused' : 'deferred'
    if ('part' in about) parts[kind].add(about.part)
    if (storeFailure(error) === undefined) {
      state.fault ??= { error }
      log.error({ outcome: 'sweep_fault', ...about, error }, 'internal error: the sweep skips this')
    } else if (kind === 'refused') {
      log.warn({ outcome: 'sweep_refused', ...about, error }, 'the sweep skips this until it is fixed')
    } else log.warn({ outcome: 'sweep_deferred', ...about, error }, 'not possible now: the next sweep retries')
    return kind
  }

  return {
    async attempt(about, work) {
      try {
        return { kind: 'done', value: await work() }
      } catch (error) {
        return { kind: report(about, error), error }
      }
    },
    report,
    storeIsAway(error) {
      state.away ??= { error }
    },
    isOver(budgetMs) {
      const isOver = drain.begun.aborted || now() >= beganAt + budgetMs
      if (isOver) state.outOfTime = true
      return isOver || state.away !== undefined
    },
    leftOver: () => ({ deferred: [...parts.deferred], refused: [...parts.refused], outOfTime: state.outOfTime }),
    throwIfFailed() {
      const failed = state.fault ?? state.away
      if (failed !== undefined) throw failed.error
    },
  }
}

/** Whether a retry of the store call would fail as well. */
export function isRefused(error: unknown): boolean {
  return error instanceof StoreError && error.code !== 'unavailable'
}
