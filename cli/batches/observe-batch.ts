import type { Environment } from '../../shared/config/rules.ts'
import { type BatchCost, readBatchCost } from '../../shared/stores/batch-cost.ts'
import type { StoreReaders } from '../../shared/stores/open.ts'
import { listenForInterrupt } from '../interrupt.ts'
import { plainText } from '../plain-text.ts'
import { pricesIn } from '../prices.ts'
import { type StoreOptions, withReaders } from '../with-stores.ts'
import { followBatch, type Observed } from './follow-batch.ts'

/** A count in Firestore is billed. */
export const EVERY_MS = { sqlite: 500, firestore: 5_000 } as const

/** A timer of Node fires at once if its time is longer. */
const MAX_TIMER_MS = 2 ** 31 - 1

export interface ObserveOptions extends StoreOptions {
  /** Stops after the first look. */
  readonly isOnce?: boolean
  readonly timeoutMs?: number
  readonly onObserved?: (observed: Observed) => void
}

/** How the observation ended, and the batch as it was then. */
export interface Observation {
  readonly ended: 'by_itself' | 'timeout' | 'interrupted'
  readonly observed: Observed
  /** Undefined if it is not known. */
  readonly cost: BatchCost | undefined
}

/** Observes a batch until it has ended, the time is over, or Ctrl-C. Rejects if there is no such batch. */
export function observeBatch(name: string, options: ObserveOptions, environment: Environment): Promise<Observation> {
  const prices = pricesIn(environment)
  return withReaders(options, environment, async (stores, { store }) => {
    const observation = await observe(stores, name, options, EVERY_MS[store.kind])
    return { ...observation, cost: await readBatchCost(stores.documents, observation.observed.progress, prices) }
  })
}

async function observe(
  stores: StoreReaders,
  name: string,
  { isOnce, timeoutMs, onObserved = () => undefined }: ObserveOptions,
  everyMs: number,
): Promise<Omit<Observation, 'cost'>> {
  using interrupt = listenForInterrupt()
  const timeout = timeoutMs === undefined ? undefined : AbortSignal.timeout(Math.min(timeoutMs, MAX_TIMER_MS))
  const signal = timeout === undefined ? interrupt.signal : AbortSignal.any([interrupt.signal, timeout])
  let last: Observed | undefined
  try {
    for await (const observed of followBatch(stores, name, { everyMs, now: Date.now, signal })) {
      last = observed
      onObserved(observed)
      if (isOnce) break
    }
  } catch (error) {
    if (!signal.aborted || last === undefined) throw error
    return { ended: interrupt.signal.aborted ? 'interrupted' : 'timeout', observed: last }
  }
  if (last === undefined) throw new Error(`there is no batch "${plainText(name)}"`)
  return { ended: 'by_itself', observed: last }
}
