import type { Answer } from './redelivery.ts'

const FIRST_WINDOW = 5

export interface FlowLimits {
  /** The window's floor and its cap. */
  readonly minOutstanding: number
  readonly maxOutstanding: number
  readonly minBackoffMs: number
  readonly maxBackoffMs: number
}

/** How fast one subscription may push. */
export interface Flow {
  /** Slow start: how many messages may be under way. */
  readonly window: number
  /** Push backoff: how long the last pause was; 0 after an ack. */
  readonly backoffMs: number
  /** Epoch milliseconds; nothing is sent before. */
  readonly backoffUntil: number
}

export function startFlow({ maxOutstanding }: FlowLimits): Flow {
  return { window: Math.min(FIRST_WINDOW, maxOutstanding), backoffMs: 0, backoffUntil: 0 }
}

/** Adapts the flow to the result of a delivery. A delivery whose answer was dropped here shows nothing about the endpoint. */
export function afterAnswer(flow: Flow, answer: Answer, now: number, limits: FlowLimits): Flow {
  if (answer === 'acked') return afterAck(flow, limits)
  return answer === 'nacked' ? afterNack(flow, now, limits) : flow
}

/** How many more messages may be sent now. */
export function roomFor(flow: Flow, outstanding: number, now: number): number {
  return now < flow.backoffUntil ? 0 : Math.max(0, flow.window - outstanding)
}

// One more for each ack: the window doubles with each round trip.
function afterAck(flow: Flow, { maxOutstanding }: FlowLimits): Flow {
  return { ...flow, window: Math.min(flow.window + 1, maxOutstanding), backoffMs: 0 }
}

// Nacks during a pause belong to messages that were sent before it. They count as one event and do not double the pause again.
function afterNack(flow: Flow, now: number, { minOutstanding, minBackoffMs, maxBackoffMs }: FlowLimits): Flow {
  const window = Math.max(minOutstanding, Math.floor(flow.window / 2))
  if (now < flow.backoffUntil) return { ...flow, window }
  const backoffMs = Math.min(Math.max(flow.backoffMs * 2, minBackoffMs), maxBackoffMs)
  return { window, backoffMs, backoffUntil: now + backoffMs }
}
