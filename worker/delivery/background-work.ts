import type { WaitUntil } from '../../shared/identity/access-token-source.ts'
import { settlesWithin } from '../../shared/lib/settles-within.ts'

/** A request waits no longer than this for its background work. */
const MAX_WAIT_MS = 5_000

/** Work that runs beside a request. The response waits for it, because Cloud Run stops the CPU between requests. */
export interface BackgroundWork {
  readonly waitUntil: WaitUntil
  /** Resolves when all of it is done, after five seconds, or when the signal is raised. */
  done(signal: AbortSignal): Promise<void>
}

export function collectBackgroundWork(): BackgroundWork {
  const works: Promise<void>[] = []
  return {
    waitUntil: (work) => void works.push(work),
    async done(signal) {
      if (works.length === 0) return
      await settlesWithin(Promise.all(works), MAX_WAIT_MS, signal)
    },
  }
}
