import { settlesWithin } from '../../shared/lib/settles-within.ts'
import type { StoredMessage } from '../../shared/queues/sqlite/queue-file.ts'
import type { Subscription } from '../../shared/queues/sqlite/subscription.ts'
import type { BytesInFlight } from '../delivery/bytes-in-flight.ts'
import { createDeliver, type DeliverDependencies } from './deliver.ts'

/** Limits the memory of one pull, and how long it locks the file. */
const MAX_PULL = 100
/** How often an idle topic is read. */
const POLL_MS = 100
/** After the file could not be used. */
const PAUSE_MS = 5_000
/** A delivery is over before its deadline. So a lease ends only if its process died. */
const LEASE_GRACE_MS = 10_000

export interface PumpDependencies extends Omit<DeliverDependencies, 'untilRoom' | 'queue'> {
  readonly queue: Pick<Subscription, 'pull' | 'ack' | 'nack' | 'deadLetter'>
  readonly ackDeadlineMs: number
  readonly maxInFlight: number
  readonly maxInFlightBytes: number
}

/** Delivers the messages of one topic until the shutdown begins. Resolves when nothing is under way. Never rejects. */
export async function pump(dependencies: PumpDependencies): Promise<void> {
  const { queue, topic, drain, observer, now, bytes, ackDeadlineMs, maxInFlight } = dependencies
  const { begun } = drain
  const underWay = new Set<Promise<void>>()
  let waiting = 0
  let ended = Promise.withResolvers<void>()
  const pause = (ms: number) => settlesWithin(ended.promise, ms, begun)
  const deliver = createDeliver({
    ...dependencies,
    async untilRoom() {
      waiting += 1
      // A push or another topic may make room as well, so it also looks again after a moment.
      await pause(POLL_MS)
      waiting -= 1
    },
  })

  function begin(message: StoredMessage): void {
    const delivery = deliver(message)
      .catch(observer.queueUnavailable)
      .finally(() => {
        underWay.delete(delivery)
        ended.resolve()
        ended = Promise.withResolvers()
      })
    underWay.add(delivery)
  }

  /** Resolves with how many messages were leased. */
  async function pull(): Promise<number> {
    const max = Math.min(maxInFlight - underWay.size, MAX_PULL)
    const sizes = freeBytes(bytes, dependencies.maxInFlightBytes)
    if (max <= 0 || waiting > 0 || sizes === undefined) return 0
    const messages = await queue.pull({ topic, max, now: now(), leaseMs: ackDeadlineMs + LEASE_GRACE_MS, ...sizes })
    messages.forEach(begin)
    return messages.length
  }

  while (!begun.aborted) {
    try {
      if ((await pull()) === 0) await pause(POLL_MS)
    } catch (error) {
      observer.queueUnavailable(error)
      await settlesWithin(new Promise(() => undefined), PAUSE_MS, begun)
    }
  }
  while (underWay.size > 0) await Promise.all(underWay)
}

/** A message of any size fits if there is nothing else. */
function freeBytes(bytes: BytesInFlight, maxInFlightBytes: number) {
  const maxBytes = maxInFlightBytes - bytes.reserved()
  const isLargerTaken = bytes.reserved() === 0
  return maxBytes > 0 ? { maxBytes, isLargerTaken } : undefined
}
