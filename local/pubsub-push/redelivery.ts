export interface RetryPolicy {
  readonly minBackoffMs: number
  readonly maxBackoffMs: number
}

interface DeadLetterPolicy {
  readonly topic: string
  readonly maxAttempts: number
}

export interface RedeliveryPolicy {
  readonly retry: RetryPolicy
  readonly deadLetter?: DeadLetterPolicy | undefined
}

/**
 * How one delivery ended.
 *
 * lost: the endpoint acknowledged, but Pub/Sub did not receive that. cut: the stand-in closed during the delivery.
 */
export type Answer = 'acked' | 'nacked' | 'lost' | 'cut'

/** What happens to a message after a delivery. `dueAt`: epoch milliseconds. */
export type Fate =
  | { readonly kind: 'done' }
  | { readonly kind: 'retry'; readonly dueAt: number }
  | { readonly kind: 'dead-letter'; readonly topic: string; readonly deliveries: number }

/** Decides after a delivery. `attempt` counts it: the first delivery is 1. */
export function decideFate(answer: Answer, attempt: number, now: number, policy: RedeliveryPolicy): Fate {
  if (answer === 'acked') return { kind: 'done' }
  // The worker did not reject it: after a restart it is delivered at once, without waiting for the lease to end.
  if (answer === 'cut') return { kind: 'retry', dueAt: now }
  const { retry, deadLetter } = policy
  if (deadLetter !== undefined && attempt >= deadLetter.maxAttempts) return deadLetterAfter(attempt, deadLetter)
  return { kind: 'retry', dueAt: answer === 'lost' ? now : now + backoffMs(attempt, retry) }
}

/**
 * Decides before a delivery, because a message may have used up its attempts without a recorded nack.
 *
 * Its last delivery was cut, or its consumer died. `attempt` counts the delivery that is about to begin.
 */
export function decideSpent(attempt: number, { deadLetter }: RedeliveryPolicy): Fate | undefined {
  if (deadLetter === undefined || attempt <= deadLetter.maxAttempts) return undefined
  return deadLetterAfter(attempt - 1, deadLetter)
}

/** Doubles from the minimum with each failed attempt, up to the maximum. */
export function backoffMs(attempt: number, { minBackoffMs, maxBackoffMs }: RetryPolicy): number {
  // Thirty doublings of a millisecond are twelve days. Many more would be Infinity, and 0 times Infinity is NaN.
  const doublings = Math.min(attempt - 1, 30)
  return Math.min(minBackoffMs * 2 ** doublings, maxBackoffMs)
}

function deadLetterAfter(deliveries: number, { topic }: DeadLetterPolicy): Fate {
  return { kind: 'dead-letter', topic, deliveries }
}
