import type { WaitUntil } from '../../shared/identity/access-token-source.ts'
import { endsWithin } from '../../shared/lib/settles-within.ts'

/** Longer than this, a request does not wait for what it only carries. */
const MAX_WAIT_MS = 5_000

/** Work that a request carries: its answer waits for it, because without a request Cloud Run stops the processor. */
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
      await endsWithin(Promise.all(works), MAX_WAIT_MS, signal)
    },
  }
}
