import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../../shared/lib/clock.ts'
import { type BatchProgress, hasEnded, readBatchProgress } from '../../shared/stores/batch-progress.ts'
import type { StoreReaders } from '../../shared/stores/open.ts'

/** A batch at one time. */
export interface Observed {
  readonly progress: BatchProgress
  /** Settled jobs for each second, in the time that was observed; at first, since the batch was submitted. */
  readonly rate: number | undefined
  /** Until all jobs are settled, at this rate. */
  readonly leftMs: number | undefined
}

export interface FollowOptions {
  readonly everyMs: number
  readonly now: Clock
  readonly signal: AbortSignal
}

/** A rate of the last minute follows a change, and is no guess from one job. */
const WINDOW_MS = 60_000

/**
 * Yields how far a batch has come, now and then until it has ended. Yields nothing if there is no such batch.
 *
 * Rejects with StoreError, or with the reason of `signal`.
 */
export async function* followBatch(
  stores: Pick<StoreReaders, 'batches' | 'documents'>,
  name: string,
  { everyMs, now, signal }: FollowOptions,
): AsyncGenerator<Observed> {
  let samples: readonly Sample[] = []
  for (;;) {
    signal.throwIfAborted()
    const progress = await readBatchProgress(stores, name)
    if (progress === undefined) return
    const at = now()
    samples = [...samples, { at, settled: progress.settled }].filter((sample) => sample.at > at - WINDOW_MS)
    yield { progress, ...rateOf(samples.length > 1 ? samples : sinceSubmitted(progress, at), progress) }
    if (hasEnded(progress)) return
    await delay(everyMs, undefined, { signal })
  }
}

export interface Sample {
  /** Epoch milliseconds. */
  readonly at: number
  readonly settled: number
}

/** What is known at the first look. Linked jobs were settled at once. A batch that has ended has no rate. */
function sinceSubmitted(progress: BatchProgress, at: number): readonly Sample[] {
  const { createdAt, settled, linked = 0 } = progress
  if (createdAt === undefined || hasEnded(progress)) return []
  return [
    { at: createdAt, settled: linked },
    { at, settled },
  ]
}

/** The rate between the first and the last of these samples. */
export function rateOf(
  samples: readonly Sample[],
  { total, settled }: Pick<BatchProgress, 'total' | 'settled'>,
): Pick<Observed, 'rate' | 'leftMs'> {
  const [first, last] = [samples[0], samples.at(-1)]
  const ms = first === undefined || last === undefined ? 0 : last.at - first.at
  const done = (last?.settled ?? 0) - (first?.settled ?? 0)
  if (ms <= 0 || done <= 0) return { rate: undefined, leftMs: undefined }
  const rate = (done * 1_000) / ms
  return { rate, leftMs: total === undefined ? undefined : Math.round(((total - settled) * 1_000) / rate) }
}
