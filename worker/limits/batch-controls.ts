import type { Failure } from '../../shared/job/failures.ts'
import type { Usage } from '../../shared/job/record.ts'
import type { Clock } from '../../shared/lib/clock.ts'
import { settlesWithin } from '../../shared/lib/settles-within.ts'
import type { Batch } from '../../shared/stores/batch-store.ts'
import type { Log } from '../observe/log.ts'
import { afterReply, type Beginning, isStoppable, NOT_BEGUN, REFUSALS_TO_STOP } from './stopped-batch.ts'
import { createTokenSpending, type TokenSpending } from './token-spending.ts'

interface BatchControlsDependencies {
  /** Rejects with StoreError. */
  readonly read: (batch: string) => Promise<Batch | undefined>
  /** Calls once after so many milliseconds; what it returns prevents that. */
  readonly later: (call: () => void, ms: number) => () => void
  readonly now: Clock
  readonly log: Log
}

/** What stops the jobs of a batch: its cancellation, its token limit, and a beginning of equal refusals. */
export interface BatchControls {
  /**
   * Reads the batch, then keeps reading it while one of its jobs is under way. Never rejects: an unavailable store stops no
   * job.
   */
  watch(batch: string): Promise<Watch>
}

export interface Watch {
  /** Aborts when the batch is cancelled. */
  readonly cancelled: AbortSignal
  /**
   * Resolves with the limit if the batch has reached it. The batch is read again first, so that a raised limit applies to a
   * replayed job at once. Never rejects.
   */
  limitReached(): Promise<ReachedLimit | undefined>
  /** Adds the tokens of an answer. */
  spend(usage: Usage): void
  /** Learns from the reply to a job. `failure`: undefined if it was answered. */
  replied(run: number, failure: Failure | undefined): void
  /** The code of the refusal that all first answers of the batch were; undefined if a job of this run goes on. */
  stoppedBy(run: number): string | undefined
  leave(): void
}

/** In tokens; `spent` as far as this instance knows. */
interface ReachedLimit {
  readonly spent: number
  readonly limit: number
}

interface Watched {
  readonly cancel: AbortController
  readonly spending: TokenSpending
  beginning: Beginning
  tokenLimit: number | undefined
  watchers: number
  readAt: number
  /** Set while the batch is being read. */
  reading: Promise<void> | undefined
  stop: () => void
}

const READ_EVERY_MS = 5_000
/** A job waits no longer than this for its batch to be read. */
const MAX_WAIT_MS = 1_000
/** Batches without a job under way are remembered up to this number. */
const MAX_BATCHES = 1_000

const NOTHING_TO_WATCH: Watch = {
  cancelled: new AbortController().signal,
  limitReached: async () => undefined,
  spend: () => undefined,
  replied: () => undefined,
  stoppedBy: () => undefined,
  leave: () => undefined,
}

/** Reads a batch every five seconds at most, however many of its jobs are under way; jobs of no batch cost nothing. */
export function createBatchControls({ read, later, now, log }: BatchControlsDependencies): BatchControls {
  const batches = new Map<string, Watched>()

  function watchedBatch(batch: string): Watched {
    const known = batches.get(batch)
    if (known !== undefined) return known
    forgetOne(batches)
    const fresh = {
      cancel: new AbortController(),
      spending: createTokenSpending(),
      beginning: NOT_BEGUN,
      tokenLimit: undefined,
      watchers: 0,
      readAt: Number.NEGATIVE_INFINITY,
      reading: undefined,
      stop: () => undefined,
    }
    batches.set(batch, fresh)
    return fresh
  }

  async function readInto(watched: Watched, batch: string): Promise<void> {
    const learn = watched.spending.beginRead()
    try {
      const found = await read(batch)
      watched.tokenLimit = found?.tokenLimit
      learn(found)
      if (found?.cancelledAt === undefined) return
      watched.cancel.abort(new Error('its batch was cancelled'))
      watched.stop()
    } catch (error) {
      log.warn({ batch, error }, 'a batch cannot be read now: its last known state stays in effect')
    }
  }

  function readNow(watched: Watched, batch: string): void {
    watched.readAt = now()
    const reading = readInto(watched, batch).finally(() => {
      if (watched.reading === reading) watched.reading = undefined
    })
    watched.reading = reading
  }

  async function untilRead({ reading }: Watched): Promise<void> {
    if (reading !== undefined) await settlesWithin(reading, MAX_WAIT_MS)
  }

  const dueInMs = ({ readAt }: Watched) => readAt + READ_EVERY_MS - now()

  /** Reads the batch when that is due, then every five seconds while a job is under way. A cancel is final. */
  function readWhenDue(watched: Watched, batch: string): void {
    watched.stop()
    if (watched.cancel.signal.aborted) return
    if (dueInMs(watched) <= 0) readNow(watched, batch)
    // A timer may fire a moment too early: it is set again for the rest.
    watched.stop = later(() => readWhenDue(watched, batch), dueInMs(watched))
  }

  function learn(watched: Watched, batch: string, failure: Failure | undefined): void {
    const after = afterReply(watched.beginning, failure)
    if (after.kind === 'stopped' && watched.beginning.kind !== 'stopped') {
      const problem = `its first ${REFUSALS_TO_STOP} answers were the same refusal; no other job of it is asked`
      log.warn({ outcome: 'batch_stopped', batch, code: after.code, problem, hint: failure?.hint }, 'batch stopped')
    }
    watched.beginning = after
  }

  return {
    async watch(batch) {
      if (batch === '') return NOTHING_TO_WATCH
      const watched = watchedBatch(batch)
      watched.watchers += 1
      if (watched.watchers === 1 || dueInMs(watched) <= 0) readWhenDue(watched, batch)
      await untilRead(watched)
      return {
        cancelled: watched.cancel.signal,
        async limitReached() {
          if (reachedBy(watched) === undefined) return undefined
          if (watched.reading === undefined) readNow(watched, batch)
          await untilRead(watched)
          return reachedBy(watched)
        },
        spend: (usage) => watched.spending.spend(usage),
        replied: (run, failure) => isStoppable(run) && learn(watched, batch, failure),
        stoppedBy(run) {
          const { beginning } = watched
          return isStoppable(run) && beginning.kind === 'stopped' ? beginning.code : undefined
        },
        leave() {
          watched.watchers -= 1
          if (watched.watchers === 0) watched.stop()
        },
      }
    },
  }
}

function reachedBy({ spending, tokenLimit: limit }: Watched): ReachedLimit | undefined {
  if (limit === undefined) return undefined
  const spent = spending.total()
  return spent < limit ? undefined : { spent, limit }
}

/** Removes the oldest entry without a job under way. */
function forgetOne(batches: Map<string, Watched>): void {
  if (batches.size < MAX_BATCHES) return
  for (const [batch, { watchers }] of batches) {
    if (watchers > 0) continue
    batches.delete(batch)
    return
  }
}
