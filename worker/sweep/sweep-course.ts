import type { RetryPolicy } from '../../shared/job/failures.ts'
import type { UnfinishedBatches } from '../../shared/stores/batch-store.ts'
import type { DailyTokensStore } from '../../shared/stores/daily-tokens.ts'
import { StoreError } from '../../shared/stores/job-store.ts'
import type { RecordDocuments } from '../../shared/stores/record-documents.ts'
import type { Drain } from '../delivery/drain.ts'
import { storeFailure } from '../delivery/store-failure.ts'
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
  /** Epoch milliseconds. */
  readonly now: () => number
  readonly log: Log
}

/** What a sweep asks the store for that is about no single job or batch. */
type SweepPart = 'day' | 'jobs' | 'batches' | 'tokens'

/** What a sweep was about: names it in the log. */
type About = { readonly jobKey: string } | { readonly batch: string } | { readonly part: SweepPart }

/** What a sweep did not do. */
export interface LeftOver {
  /** What could not be read now, or not to its end: the next sweep tries again. */
  readonly deferred: readonly SweepPart[]
  /** What the store refuses until it is fixed: an index is missing. */
  readonly refused: readonly SweepPart[]
  /** Whether its time was over before it had looked at everything. */
  readonly outOfTime: boolean
}

/** refused: the store would do no better at the next try. deferred: the next sweep tries again. */
type Attempted<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'refused' | 'deferred'; readonly error: unknown }

/** One sweep under way. */
export interface SweepCourse {
  /** Does one thing. Whatever is wrong with it is logged and keeps the sweep from nothing else: never rejects. */
  attempt<T>(about: About, work: () => Promise<T>): Promise<Attempted<T>>
  /** Says what is wrong with one thing. */
  report(about: About, error: unknown): 'refused' | 'deferred'
  /** Says that the store takes nothing now: nothing more is begun. */
  storeIsAway(error: unknown): void
  /** Whether it is too late to begin anything more: so many milliseconds after the sweep began. */
  isOver(budgetMs: number): boolean
  leftOver(): LeftOver
  /** Throws what kept the sweep from being one: an error of our own, or of a store that is away. */
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
      log.error({ outcome: 'sweep_fault', ...about, error }, 'internal error: the sweep leaves this out')
    } else if (kind === 'refused') {
      log.warn({ outcome: 'sweep_refused', ...about, error }, 'the sweep leaves this out until it is fixed')
    } else log.warn({ outcome: 'sweep_deferred', ...about, error }, 'not possible now: the next sweep tries again')
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

/** Whether the store would do no better at the next try. */
export function isRefused(error: unknown): boolean {
  return error instanceof StoreError && error.code !== 'unavailable'
}
