import type { Clock } from '../../shared/lib/clock.ts'
import { settlesWithin } from '../../shared/lib/settles-within.ts'
import type { Subscription } from '../../shared/queues/sqlite/subscription.ts'
import type { Drain } from '../delivery/drain.ts'
import { storeFailure } from '../delivery/failures.ts'
import type { Observer } from '../observe/observer.ts'
import type { Sweep } from '../sweep/sweep.ts'

const EVERY_MS = 60_000
/** As Pub/Sub keeps an unread message. */
const EVENTS_KEPT_MS = 7 * 86_400_000
const MAX_EVENTS = 100_000

export interface UpkeepDependencies {
  readonly queue: Pick<Subscription, 'trim'>
  readonly eventsTopic: string | undefined
  /** Undefined: something else calls the sweep. */
  readonly sweep: Sweep | undefined
  readonly drain: Drain
  readonly observer: Observer
  readonly now: Clock
}

/**
 * Does each minute what Cloud Scheduler and Pub/Sub do for a worker in the cloud: it sweeps, and drops old events that no
 * consumer reads. Resolves when the shutdown began and nothing is under way. Never rejects.
 */
export async function keepUp(dependencies: UpkeepDependencies): Promise<void> {
  const { drain } = dependencies
  while (!drain.begun.aborted) {
    await Promise.all([sweepOnce(dependencies), trimOnce(dependencies)])
    await settlesWithin(new Promise(() => undefined), EVERY_MS, drain.begun)
  }
}

async function sweepOnce({ sweep, observer }: UpkeepDependencies): Promise<void> {
  try {
    await sweep?.()
  } catch (error) {
    if (storeFailure(error) === undefined) observer.internalError(error)
    else observer.sweepFailed(error)
  }
}

async function trimOnce({ queue, eventsTopic, observer, now }: UpkeepDependencies): Promise<void> {
  if (eventsTopic === undefined) return
  try {
    await queue.trim(eventsTopic, { before: now() - EVENTS_KEPT_MS, keep: MAX_EVENTS })
  } catch (error) {
    observer.queueUnavailable(error)
  }
}
