/** The rest of a push's time is reserved for storing the answer. */
const USABLE_SHARE = 0.95

/** The time that a job may need before it is sent: for its batch, a token, its deployment and the claim. */
const START_MS = 10_000

/** How much of a push's time its job may use. Milliseconds. */
export function usableMs(ackDeadlineMs: number): number {
  return USABLE_SHARE * ackDeadlineMs
}

/** The longest time for a send. Ten seconds, or half of a short push, remain for the start of the job. Milliseconds. */
export function longestSendMs(ackDeadlineMs: number): number {
  const leftMs = usableMs(ackDeadlineMs)
  return leftMs - Math.min(START_MS, leftMs / 2)
}
