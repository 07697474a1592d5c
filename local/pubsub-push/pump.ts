import type { StoredMessage } from '../../shared/queues/sqlite/queue-file.ts'
import type { Subscription } from '../../shared/queues/sqlite/subscription.ts'
import { createBell } from './bell.ts'
import type { Carrier } from './carry.ts'
import type { SubscriptionSettings } from './settings.ts'

// Limits the memory of one pull, and how long it locks the file.
const MAX_PULL = 100
// Longer than a live consumer needs: its HTTP deadline, twice for a duplicate. So a lease ends only when its consumer died.
const LEASE_GRACE_MS = 10_000

export interface PumpParts {
  readonly settings: SubscriptionSettings
  readonly queue: Subscription
  readonly carrier: Carrier
  readonly pollMs: number
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Ends the pump. */
  readonly closing: AbortSignal
}

export interface Pump {
  /** The last failure of the queue's file. The pump continues after it. */
  problem(): string | undefined
  /** Resolves when the pump has ended and nothing is under way. */
  readonly ended: Promise<void>
}

/** Delivers one topic's messages to its endpoint, as many at once as the flow allows. */
export function startPump({ settings, queue, carrier, pollMs, now, closing }: PumpParts): Pump {
  const underWay = new Set<Promise<void>>()
  const bell = createBell()
  let problem: string | undefined
  const note = (error: unknown): void => {
    problem = String(error)
  }
  const begin = (message: StoredMessage): void => {
    const carried = carrier
      .carry(message)
      .catch(note)
      .finally(() => {
        underWay.delete(carried)
        bell.ring()
      })
    underWay.add(carried)
  }
  const pull = async (): Promise<number> => {
    const max = Math.min(carrier.room(underWay.size), MAX_PULL)
    if (max === 0) return 0
    const leaseMs = 2 * settings.ackDeadlineMs + LEASE_GRACE_MS
    const messages = await queue.pull({ topic: settings.topic, max, now: now(), leaseMs })
    messages.forEach(begin)
    return messages.length
  }
  const run = async (): Promise<void> => {
    closing.addEventListener('abort', bell.ring)
    while (!closing.aborted) if (!(await pull().catch(note))) await bell.wait(pollMs)
    await Promise.all(underWay)
  }
  return { problem: () => problem, ended: run() }
}
