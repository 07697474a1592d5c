import type { StoredMessage } from '../../shared/queues/sqlite/queue-file.ts'
import type { Subscription } from '../../shared/queues/sqlite/subscription.ts'
import type { Deliver } from './deliver.ts'
import { afterAnswer, type Flow, roomFor, startFlow } from './flow-control.ts'
import { deadLetterAttributes } from './push-request.ts'
import { type Answer, decideFate, decideSpent, type Fate } from './redelivery.ts'
import type { SubscriptionSettings } from './settings.ts'

export interface CarrierParts {
  readonly settings: SubscriptionSettings
  readonly queue: Subscription
  readonly deliver: Deliver
  /** Epoch milliseconds. */
  readonly now: () => number
}

/** The deliveries of one subscription since its start, and its present flow. */
export type Traffic = Flow & Readonly<Record<Answer | 'delivered' | 'deadLettered', number>>

export interface Carrier {
  /** Delivers a pulled message once. Rejects with SQLite's error; then the message waits until its lease ends. */
  carry(message: StoredMessage): Promise<void>
  /** How many more messages may be sent now. */
  room(outstanding: number): number
  traffic(): Traffic
}

export function createCarrier({ settings, queue, deliver, now }: CarrierParts): Carrier {
  const counts = { delivered: 0, acked: 0, nacked: 0, lost: 0, cut: 0, deadLettered: 0 }
  let flow = startFlow(settings.flow)
  const settle = async (message: StoredMessage, fate: Fate): Promise<void> => {
    if (fate.kind === 'done') await queue.ack(message)
    if (fate.kind === 'retry') await queue.nack(message, fate.dueAt)
    if (fate.kind !== 'dead-letter') return
    const attributes = deadLetterAttributes(message, fate.deliveries, settings)
    await queue.deadLetter(message, fate.topic, attributes, now())
    counts.deadLettered++
  }
  return {
    async carry(message) {
      const spent = decideSpent(message.attempt, settings)
      if (spent !== undefined) return settle(message, spent)
      counts.delivered++
      const answer = await deliver(message)
      counts[answer]++
      flow = afterAnswer(flow, answer, now(), settings.flow)
      await settle(message, decideFate(answer, message.attempt, now(), settings))
    },
    room: (outstanding) => roomFor(flow, outstanding, now()),
    traffic: () => ({ ...flow, ...counts }),
  }
}
