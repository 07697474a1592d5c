/** A pause that can be ended early. */
export interface Bell {
  ring(): void
  /** Resolves after `ms`, or at the next ring. For one waiter at a time. */
  wait(ms: number): Promise<void>
}

export function createBell(): Bell {
  let wake: (() => void) | undefined
  return {
    ring: () => wake?.(),
    async wait(ms) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, ms)
      wake = resolve
      await promise
      clearTimeout(timer)
    },
  }
}
