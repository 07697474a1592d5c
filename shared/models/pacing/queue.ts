import type { Need } from './pace.ts'

/** A job that waits for its turn at one deployment. */
export interface Waiting {
  need: Need
  /** Is called when the turn of the job may have come. */
  wake: () => void
}

/** Picks the job that goes next. */
export function pickNext(waiting: ReadonlySet<Waiting>): Waiting | undefined {
  return waiting.values().next().value
}

/** What the jobs before one need together. */
export function neededBefore(waiting: ReadonlySet<Waiting>, job: Waiting): { requests: number; tokens: number } {
  let [requests, tokens] = [0, 0]
  for (const each of waiting) {
    if (each === job) break
    requests += 1
    tokens += each.need.tokens
  }
  return { requests, tokens }
}
