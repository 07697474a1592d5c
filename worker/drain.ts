/** Ends an instance without losing what it has begun. */
export interface Drain {
  /** Nothing new is admitted once this is true. */
  readonly draining: boolean
  /** Aborts when running jobs have had their time. */
  readonly signal: AbortSignal
  /** Stops admitting; aborts what still runs after `graceMs`. */
  begin(graceMs: number): void
}

export function createDrain(): Drain {
  const controller = new AbortController()
  let draining = false
  return {
    get draining() {
      return draining
    },
    signal: controller.signal,
    begin(graceMs) {
      if (draining) return
      draining = true
      setTimeout(() => controller.abort(new Error('this instance is about to end')), graceMs).unref()
    },
  }
}
