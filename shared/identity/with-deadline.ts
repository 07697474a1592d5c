/**
 * Waits at most so many milliseconds for work, whose signal then aborts, whether the work heeds it or not.
 *
 * Rejects with a TimeoutError (DOMException).
 */
export async function withDeadline<T>(timeoutMs: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const ending = new AbortController()
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    const reason = new DOMException(`no answer within ${timeoutMs} ms`, 'TimeoutError')
    reject(reason)
    ending.abort(reason)
  }, timeoutMs)
  try {
    return await Promise.race([work(ending.signal), late])
  } finally {
    clearTimeout(timer)
  }
}
