/** How long an answer about the store stands, in milliseconds. */
const STANDS_MS = 1_000

/**
 * Makes a check that looks at the store once a second at most, however often it is asked: anybody who reaches the service
 * may ask. It rejects as the look does. `now`: epoch milliseconds.
 */
export function createReadyCheck(look: () => Promise<unknown>, now: () => number): () => Promise<unknown> {
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
