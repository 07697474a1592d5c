/** Shuts an instance down without losing the jobs under way. */
export interface Drain {
  /** Aborts at once: no new job is admitted, and a waiting job is released. */
  readonly begun: AbortSignal
  /** Aborts when the grace period of the requests under way is over. */
  readonly over: AbortSignal
  /** Begins the shutdown. Requests under way have `graceMs` milliseconds to end. */
  begin(graceMs: number): void
}

export function createDrain(): Drain {
  const begun = new AbortController()
  const over = new AbortController()
  return {
    begun: begun.signal,
    over: over.signal,
    begin(graceMs) {
      if (begun.signal.aborted) return
      const reason = new Error('this instance is about to end')
      begun.abort(reason)
      setTimeout(() => over.abort(reason), graceMs).unref()
    },
  }
}
