import type { Clock } from '../../shared/lib/clock.ts'
import type { StoredMessage } from '../../shared/queues/sqlite/queue-file.ts'
import type { Subscription } from '../../shared/queues/sqlite/subscription.ts'
import type { BackgroundWork } from '../delivery/background-work.ts'
import type { BytesInFlight, Reservation } from '../delivery/bytes-in-flight.ts'
import { type ParsedDelivery, traceparentOf } from '../delivery/delivery.ts'
import type { Drain } from '../delivery/drain.ts'
import { isFull, type Receiver } from '../jobs/receive.ts'
import { observeDelivery } from '../observe/observe-delivery.ts'
import type { Observer } from '../observe/observer.ts'
import { type DeliveryEnd, decideRedelivery, decideSpent, forwardedAttributes, type Redelivery } from './redelivery.ts'

export interface DeliverDependencies {
  readonly queue: Pick<Subscription, 'ack' | 'nack' | 'deadLetter'>
  readonly topic: string
  /** Where messages go that were delivered too often; undefined: they are delivered for ever. */
  readonly deadLetterTopic: string | undefined
  readonly receive: Receiver['receive']
  readonly bytes: BytesInFlight
  readonly drain: Drain
  readonly observer: Observer
  readonly now: Clock
  /** Resolves when there may be more room, or when the shutdown begins. */
  readonly untilRoom: () => Promise<void>
}

/** Delivers one leased message to the receiver, and settles it in the queue. Rejects with SQLite's error. */
export type Deliver = (message: StoredMessage) => Promise<void>

export function createDeliver(dependencies: DeliverDependencies): Deliver {
  const { queue, topic, deadLetterTopic, bytes, drain, observer, now, untilRoom } = dependencies

  async function settle(message: StoredMessage, fate: Redelivery): Promise<void> {
    if (fate.kind === 'ack') await queue.ack(message)
    else if (fate.kind === 'nack') await queue.nack(message, fate.dueAt)
    else await queue.deadLetter(message, fate.topic, forwardedAttributes(message, topic, fate.deliveries), now())
  }

  /** Undefined if the shutdown began before there was room. */
  async function reserve(size: number): Promise<Reservation | undefined> {
    for (;;) {
      if (drain.begun.aborted) return undefined
      const room = bytes.admit(size)
      if (room !== undefined) return room
      await untilRoom()
    }
  }

  /** A full instance keeps the message, so that waiting for room uses up no delivery. */
  const receiveWithRoom: Receiver['receive'] = async (read, waitUntil, room) => {
    for (;;) {
      const outcome = await dependencies.receive(read, waitUntil, room)
      if (!isFull(outcome) || drain.begun.aborted) return outcome
      await untilRoom()
    }
  }

  async function process(message: StoredMessage): Promise<{ end: DeliveryEnd; background?: BackgroundWork }> {
    const read = toDelivery(message, now())
    const room = await reserve(message.data.byteLength)
    if (room === undefined) return { end: 'cut' }
    try {
      const receive = receiveWithRoom
      const { outcome, background } = await observeDelivery(observer, read, (wait) => receive(read, wait, room))
      if (outcome.done) return { end: 'done', background }
      return { end: drain.begun.aborted ? 'cut' : 'deferred', background }
    } catch (error) {
      observer.internalError(error)
      return { end: 'deferred' }
    } finally {
      room.release()
    }
  }

  return async (message) => {
    const { attempt } = message
    const spent = decideSpent(attempt, deadLetterTopic)
    if (spent !== undefined) return settle(message, spent)
    const { end, background } = await process(message)
    await settle(message, decideRedelivery(end, attempt, now(), deadLetterTopic))
    await background?.done(drain.begun)
  }
}

function toDelivery({ id, data, attributes, attempt, publishedAt }: StoredMessage, arrivedAt: number): ParsedDelivery {
  const traceparent = traceparentOf(attributes)
  const delivery = { messageId: id, data, attributes, deliveryAttempt: attempt, publishedAt, traceparent, arrivedAt }
  return { ok: true, delivery }
}
