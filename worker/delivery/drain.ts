/** Ends an instance without losing what it has begun. */
export interface Drain {
  /** Aborts at once: nothing new is admitted, and a job that only waits is given back. */
  readonly begun: AbortSignal
  /** Aborts when the asks under way have had their time. */
  readonly over: AbortSignal
  /** Begins to end; what is being asked has `graceMs` milliseconds more. */
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
