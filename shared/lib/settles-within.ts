/** Resolves with whether the work ends within `ms` milliseconds and before the signal aborts. The work must never reject. */
export async function settlesWithin(work: Promise<unknown>, ms: number, signal?: AbortSignal): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>()
  const giveUp = () => resolve(false)
  const timer = setTimeout(giveUp, Math.max(0, ms))
  signal?.addEventListener('abort', giveUp)
  if (signal?.aborted) giveUp()
  try {
    return await Promise.race([work.then(() => true), late])
  } finally {
    signal?.removeEventListener('abort', giveUp)
    clearTimeout(timer)
  }
}
