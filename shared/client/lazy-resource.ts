interface Closes {
  close(): Promise<void>
}

export interface LazyResource<T> {
  get: () => Promise<T>
  /** Closes it if it was opened. From then on it cannot be opened. */
  close(): Promise<void>
}

/** Opens something when it is first needed. If that fails, the next use tries again. */
export function lazyResource<T extends Closes>(open: () => Promise<T>): LazyResource<T> {
  let opened: Promise<T> | undefined
  let isClosed = false
  return {
    get() {
      if (isClosed) return Promise.reject(new Error('the client is closed'))
      opened ??= open().catch((error: unknown) => {
        opened = undefined
        throw error
      })
      return opened
    },
    async close() {
      isClosed = true
      const resource = await opened?.catch(() => undefined)
      await resource?.close()
    },
  }
}
