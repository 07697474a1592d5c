import type { Message } from '../../../shared/queues/job-queue.ts'
import { count } from './exercised.ts'
import { ratesAt } from './faults.ts'
import { ACK_DEADLINE_MS } from './settings.ts'
import type { WireParts } from './wire.ts'

/** One push of a message. */
export interface Push extends Message {
  readonly id: string
  /** 1 for the first. */
  readonly attempt: number
  /** Epoch milliseconds. */
  readonly publishedAt: number
}

export interface Subscription {
  /** Resolves with whether it was acknowledged, or never. */
  readonly push: (push: Push) => Promise<boolean>
  readonly acknowledged: (push: Push) => void
  /** After so many deliveries a message goes to another topic. */
  readonly deadLetter?: { readonly topic: string; readonly maxDeliveries: number }
}

export interface PubSub {
  /** Takes a message for good, and gives its id. */
  publish(topic: string, message: Message): string
  subscribe(topic: string, subscription: Subscription): void
  /** How many messages wait for their acknowledgement. */
  outstanding(): number
}

interface Held extends Message {
  readonly id: string
  readonly topic: string
  readonly publishedAt: number
  deliveries: number
  isDone: boolean
}

const MIN_BACKOFF_MS = 10_000
const MAX_BACKOFF_MS = 300_000
/** Now and then it takes its time. */
const MAX_LATE_MS = 180_000
/** So that messages overtake each other. */
const MAX_TRAVEL_MS = 3_000

/**
 * Pub/Sub push as its documents have it: at least once, in no order, with an acknowledgement deadline that is the push's
 * timeout as well, exponential backoff, and dead-letter forwarding after so many deliveries.
 *
 * `published` hears of every message that a topic took.
 */
export function createPubSub(
  { world, faults, exercised }: WireParts,
  published: (topic: string, message: Message) => void,
): PubSub {
  const { random } = world
  const subscriptions = new Map<string, Subscription>()
  let lastId = 0
  let outstanding = 0
  const duplicates = () => random.chance(ratesAt(faults, world.now()).duplicate)
  const note = (what: string) => world.note('pubsub', what)

  function publish(topic: string, { data, attributes }: Message): string {
    lastId += 1
    const id = `${topic}-${lastId}`
    published(topic, { data, attributes })
    const subscription = subscriptions.get(topic)
    if (subscription === undefined) return id
    outstanding += 1
    const held: Held = { id, topic, data, attributes, publishedAt: world.now(), deliveries: 0, isDone: false }
    deliverIn(random.whole(0, MAX_TRAVEL_MS), held, subscription)
    return id
  }

  function deliverIn(ms: number, held: Held, subscription: Subscription): void {
    world.after(ms, undefined, () => {
      if (!held.isDone) deliver(held, subscription)
    })
  }

  function deliver(held: Held, subscription: Subscription): void {
    held.deliveries += 1
    if (duplicates()) {
      count(exercised, 'duplicate delivery')
      void subscription.push(pushOf(held))
    }
    const answer = once((isAcked: boolean, why: string) => {
      note(`${held.id} delivery ${held.deliveries}: ${isAcked ? 'acknowledged' : why}`)
      if (held.isDone) return
      if (isAcked) acknowledge(held, subscription)
      else comeAgain(held, subscription)
    })
    world.after(ACK_DEADLINE_MS, undefined, () => {
      if (answer(false, 'no answer in time')) count(exercised, 'acknowledgement deadline missed')
    })
    const onAnswer = (isAcked: boolean) => {
      const isLost = isAcked && random.chance(ratesAt(faults, world.now()).lose)
      if (isLost) count(exercised, 'lost acknowledgement')
      world.after(random.whole(1, 100), undefined, () =>
        answer(isAcked && !isLost, isLost ? 'its answer is lost' : 'refused'),
      )
    }
    void subscription.push(pushOf(held)).then(onAnswer)
  }

  function acknowledge(held: Held, subscription: Subscription): void {
    held.isDone = true
    outstanding -= 1
    subscription.acknowledged(pushOf(held))
    if (!duplicates()) return
    count(exercised, 'duplicate delivery')
    world.after(random.whole(0, 2 * ACK_DEADLINE_MS), undefined, () => void subscription.push(pushOf(held)))
  }

  function comeAgain(held: Held, subscription: Subscription): void {
    const { deadLetter } = subscription
    if (deadLetter !== undefined && held.deliveries >= deadLetter.maxDeliveries) {
      count(exercised, 'message given up by Pub/Sub')
      held.isDone = true
      outstanding -= 1
      publish(deadLetter.topic, forwarded(held))
      return
    }
    const backoffMs = Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** (held.deliveries - 1))
    const moreMs = random.chance(0.15) ? MAX_LATE_MS : MIN_BACKOFF_MS
    deliverIn(backoffMs + random.whole(0, moreMs), held, subscription)
  }

  return {
    publish,
    subscribe: (topic, subscription) => void subscriptions.set(topic, subscription),
    outstanding: () => outstanding,
  }
}

function pushOf({ id, data, attributes, deliveries: attempt, publishedAt }: Held): Push {
  return { id, data, attributes, attempt, publishedAt }
}

/** https://cloud.google.com/pubsub/docs/handling-failures */
function forwarded({ data, attributes, deliveries, publishedAt }: Held): Message {
  const source = 'CloudPubSubDeadLetterSource'
  const added = {
    [`${source}DeliveryCount`]: String(deliveries),
    [`${source}TopicPublishTime`]: new Date(publishedAt).toISOString(),
  }
  return { data, attributes: { ...attributes, ...added } }
}

/** Only the first call counts. Returns whether it was this one. */
function once<A extends readonly unknown[]>(call: (...args: A) => void): (...args: A) => boolean {
  let isOver = false
  return (...args) => {
    if (isOver) return false
    isOver = true
    call(...args)
    return true
  }
}
