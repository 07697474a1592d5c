import { isBusy } from '../../lib/sqlite.ts'

/** Runs work in one transaction. Rejects with SQLite's error. */
type Commit = <T>(work: () => T) => Promise<T>

interface Waiting<T> {
  readonly work: () => T
  readonly resolve: (result: T) => void
  readonly reject: (error: unknown) => void
}

/** A commit blocks the event loop. With this many small writes it takes a few milliseconds. */
const MAX_TOGETHER = 100

/**
 * Returns a function that commits the writes of one turn of the event loop together. A full sync costs the same for fifty
 * writes as for one.
 *
 * A write resolves when it is on disk. If a group fails, each write is retried alone and gets its own error. If the
 * database stayed busy, they are not retried.
 */
export function groupCommits<T>(commit: Commit): (work: () => T) => Promise<T> {
  const waiting: Waiting<T>[] = []

  async function flush(): Promise<void> {
    const group = waiting.splice(0, MAX_TOGETHER)
    if (waiting.length > 0) setImmediate(flush)
    try {
      const results = await commit(() => group.map(({ work, resolve }) => ({ resolve, result: work() })))
      for (const { resolve, result } of results) resolve(result)
    } catch (error) {
      if (group.length === 1 || isBusy(error)) {
        for (const { reject } of group) reject(error)
        return
      }
      for (const { work, resolve, reject } of group) await commit(work).then(resolve, reject)
    }
  }

  return (work) => {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    if (waiting.length === 0) setImmediate(flush)
    waiting.push({ work, resolve, reject })
    return promise
  }
}
