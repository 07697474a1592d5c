import type { QueueReport } from '../../shared/queues/sqlite/queue-report.ts'
import { createCarrier } from './carry.ts'
import { createDelivery, type DeliveryParts } from './deliver.ts'
import { createPost } from './post.ts'
import { type PumpParts, startPump } from './pump.ts'
import { writePush } from './push-request.ts'
import type { SubscriptionStatus } from './routes.ts'

export interface PushLineParts extends Omit<DeliveryParts, 'post' | 'write'>, Omit<PumpParts, 'carrier'> {
  readonly report: QueueReport
}

/** An active subscription. */
export interface PushLine {
  status(): Promise<SubscriptionStatus>
  /** Resolves when `closing` has been raised and nothing is under way. */
  readonly ended: Promise<void>
}

/** Releases the leases of an earlier process that died, and starts to push. */
export async function openPushLine(parts: PushLineParts): Promise<PushLine> {
  const { settings, queue, report, now, closing } = parts
  const { name, topic } = settings
  const post = createPost(settings, closing)
  const deliver = createDelivery({ ...parts, post, write: (message) => writePush(message, settings) })
  const carrier = createCarrier({ settings, queue, deliver, now })
  await queue.reclaim(topic, now())
  const pump = startPump({ ...parts, carrier })
  return {
    ended: pump.ended,
    async status() {
      const { waiting, leased } = await report.counts(topic, now())
      const progress = { waiting, outstanding: leased, ...carrier.traffic(), problem: pump.problem() ?? null }
      return { subscription: name, topic, ...progress }
    },
  }
}
