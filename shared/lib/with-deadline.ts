/**
 * Waits at most `timeoutMs` for work. Its signal aborts then, and the wait ends even if the work ignores the signal.
 *
 * Rejects with a TimeoutError (DOMException). If `within` aborts first, rejects with its reason.
 */
export async function withDeadline<T>(
  timeoutMs: number,
  work: (signal: AbortSignal) => Promise<T>,
  within?: AbortSignal,
): Promise<T> {
  within?.throwIfAborted()
  const ending = new AbortController()
  const { promise: ended, reject } = Promise.withResolvers<never>()
  const end = (reason: unknown) => {
    reject(reason)
    ending.abort(reason)
  }
  const timer = setTimeout(() => end(new DOMException(`no answer within ${timeoutMs} ms`, 'TimeoutError')), timeoutMs)
  const onAbort = () => end(within?.reason)
  within?.addEventListener('abort', onAbort)
  try {
    return await Promise.race([work(ending.signal), ended])
  } finally {
    clearTimeout(timer)
    within?.removeEventListener('abort', onAbort)
  }
}
