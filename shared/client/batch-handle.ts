import { setTimeout as delay } from 'node:timers/promises'
import type { Prices } from '../job/price.ts'
import type { Clock } from '../lib/clock.ts'
import { defined } from '../lib/defined.ts'
import { readBatchCost } from '../stores/batch-cost.ts'
import { type BatchProgress, hasEnded, readBatchProgress } from '../stores/batch-progress.ts'
import type { Stores } from '../stores/open.ts'
import { checkWait } from './check-arguments.ts'
import { ClientError } from './client-error.ts'
import type { Results } from './to-result.ts'
import type { BatchCounts, BatchHandle } from './types.ts'

interface BatchDependencies {
  readonly stores: () => Promise<Pick<Stores, 'batches' | 'documents'>>
  readonly results: () => Promise<Results>
  readonly prices: Prices
  readonly now: Clock
}

const READ_EVERY_MS = 2_000

export function createBatchHandle(name: string, { stores, results, prices, now }: BatchDependencies): BatchHandle {
  const read = async () => readBatchProgress(await stores(), name)
  const found = async () => {
    const progress = await read()
    if (progress === undefined) throw new ClientError('not_found', `There is no batch ${JSON.stringify(name)}`)
    return progress
  }
  return {
    name,
    async counts() {
      const progress = await read()
      return progress && toCounts(progress)
    },
    async cost() {
      return readBatchCost((await stores()).documents, await found(), prices)
    },
    async wait(options = {}) {
      const { signal, timeoutMs, everyMs = READ_EVERY_MS, onCounts } = checkWait(options)
      const time = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs)
      const ends = AbortSignal.any([signal, time].filter((each) => each !== undefined))
      for (;;) {
        signal?.throwIfAborted()
        const progress = await found()
        const counts = toCounts(progress)
        onCounts?.(counts)
        if (hasEnded(progress)) return counts
        await delay(everyMs, undefined, { signal: ends }).catch(() => undefined)
        if (time?.aborted) throw new ClientError('timeout', `The batch did not end within ${timeoutMs} ms`)
      }
    },
    async *results() {
      yield* (await results()).list(name)
    },
    async cancel() {
      const { isCancelled } = await found()
      if (!isCancelled) await (await stores()).batches.cancel(name, now())
    },
  }
}

function toCounts(progress: BatchProgress): BatchCounts {
  const { state, isCancelled, total, notStarted, tokens: usage } = progress
  const { running = 0, waiting = 0, succeeded = 0, dead_lettered = 0, cancelled = 0, expired = 0 } = progress.counts
  const ended = { succeeded, deadLettered: dead_lettered, cancelled, expired }
  const reasons = { failures: progress.failures, ...defined({ failuresOf: progress.failuresOf }) }
  return { state, isCancelled, total, notStarted, running, waiting, ...ended, ...reasons, usage }
}
