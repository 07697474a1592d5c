import type { Clock } from '../../shared/lib/clock.ts'

/** How long a result of the check is reused, in milliseconds. */
const STANDS_MS = 1_000

/**
 * Creates a check that reads the store at most once a second, because anyone who reaches the service may call it. It rejects
 * as `look` does. `now`: epoch milliseconds.
 */
export function createReadyCheck(look: () => Promise<unknown>, now: Clock): () => Promise<unknown> {
  let last: { readonly answer: Promise<unknown>; endedAt?: number } | undefined
  return () => {
    const ageMs = last?.endedAt === undefined ? 0 : now() - last.endedAt
    if (last !== undefined && ageMs >= 0 && ageMs < STANDS_MS) return last.answer
    const looked: { readonly answer: Promise<unknown>; endedAt?: number } = { answer: look() }
    const end = () => {
      looked.endedAt = now()
    }
    looked.answer.then(end, end)
    last = looked
    return looked.answer
  }
}
