import { afterAnswer, type FlowLimits, roomFor, startFlow } from '../../../../local/pubsub-push/flow-control.ts'
import { decideFate, type RedeliveryPolicy } from '../../../../local/pubsub-push/redelivery.ts'
import type { VirtualTime } from './virtual-time.ts'

/** One job, from its publishing to its end. */
export interface Message {
  /** What the provider charges on arrival. */
  readonly tokens: number
  deliveries: number
  /** How it ended. */
  end?: 'acked' | 'dead-lettered'
  /** Epoch milliseconds. */
  endedAt?: number
}

export interface Delivery {
  readonly message: Message
  /** Only the first answer within the ack deadline counts. */
  answer(answer: 'acked' | 'nacked'): void
}

export interface PushReport {
  readonly done: number
  readonly deadLetters: number
  /** Deliveries without an answer within the ack deadline. */
  readonly missedDeadlines: number
  readonly deliveries: number
}

const ACK_DEADLINE_MS = 600_000
/** As Pub/Sub has them for slow endpoints. */
const FLOW: FlowLimits = { minOutstanding: 1, maxOutstanding: 3_000, minBackoffMs: 100, maxBackoffMs: 60_000 }
/** As the Terraform module sets them. */
const REDELIVERY: RedeliveryPolicy = {
  retry: { minBackoffMs: 10_000, maxBackoffMs: 600_000 },
  deadLetter: { topic: 'dead', maxAttempts: 100 },
}

/** One push subscription, by the rules of the push stand-in, in virtual time. */
export function startPushes(time: VirtualTime, messages: readonly Message[], push: (delivery: Delivery) => void) {
  const ready = [...messages]
  let next = 0
  let flow = startFlow(FLOW)
  let outstanding = 0
  let isPumpPlanned = false
  const report = { done: 0, deadLetters: 0, missedDeadlines: 0, deliveries: 0 }

  function pump(): void {
    while (next < ready.length && roomFor(flow, outstanding, time.now()) > 0) {
      const message = ready[next]
      next += 1
      if (message !== undefined) deliver(message)
    }
    const pauseMs = flow.backoffUntil - time.now()
    if (pauseMs > 0 && !isPumpPlanned) {
      isPumpPlanned = true
      time.after(pauseMs, () => {
        isPumpPlanned = false
        pump()
      })
    }
  }

  function deliver(message: Message): void {
    outstanding += 1
    message.deliveries += 1
    report.deliveries += 1
    let isAnswered = false
    const answer = (said: 'acked' | 'nacked') => {
      if (isAnswered) return
      isAnswered = true
      cancel()
      outstanding -= 1
      flow = afterAnswer(flow, said, time.now(), FLOW)
      settle(message, said)
      pump()
    }
    const cancel = time.after(ACK_DEADLINE_MS, () => {
      report.missedDeadlines += 1
      answer('nacked')
    })
    push({ message, answer })
  }

  function settle(message: Message, said: 'acked' | 'nacked'): void {
    if (message.end !== undefined) return
    const fate = decideFate(said, message.deliveries, time.now(), REDELIVERY)
    if (fate.kind === 'retry') {
      time.after(fate.dueAt - time.now(), () => {
        if (message.end !== undefined) return
        ready.push(message)
        pump()
      })
      return
    }
    message.end = fate.kind === 'done' ? 'acked' : 'dead-lettered'
    message.endedAt = time.now()
    if (fate.kind === 'done') report.done += 1
    else report.deadLetters += 1
  }

  time.after(0, pump)
  return { report: (): PushReport => report }
}
