/** The rest of a push's time is for the answer's way back. */
const USABLE_SHARE = 0.95

/** What a job may need before it is sent, even where nothing is wrong: its batch, a token, its deployment, the claim. */
const START_MS = 10_000

/** How much of a push's time its job may use. Milliseconds. */
export function usableMs(ackDeadlineMs: number): number {
  return USABLE_SHARE * ackDeadlineMs
}

/** The most time for a send that leaves a job time to start: ten seconds, or half of a short push. Milliseconds. */
export function longestSendMs(ackDeadlineMs: number): number {
  const leftMs = usableMs(ackDeadlineMs)
  return leftMs - Math.min(START_MS, leftMs / 2)
}
