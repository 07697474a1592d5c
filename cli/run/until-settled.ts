import { setTimeout as delay } from 'node:timers/promises'
import { type StatusCounts, settledIn } from '../../shared/job/record.ts'
import { readBacklog } from '../../shared/queues/sqlite/backlog.ts'
import { createProgress } from '../demo/progress.ts'

const LOOK_EVERY_MS = 250
/** How often it waits for the dead letters of the last jobs. */
const LETTER_LOOKS = 40

export interface SettledOptions {
  /** The file of the queue. */
  readonly path: string
  readonly deadLetterTopic: string
  readonly total: number
  readonly count: () => Promise<StatusCounts>
  readonly signal: AbortSignal
}

/** Shows the progress until all jobs are settled, and their dead letters are recorded. Rejects with the signal. */
export async function untilSettled({ path, deadLetterTopic, total, count, signal }: SettledOptions): Promise<void> {
  const progress = createProgress(process.stderr, total)
  try {
    for (;;) {
      const counts = await count()
      progress.show(counts)
      if (settledIn(counts) >= total) break
      await delay(LOOK_EVERY_MS, undefined, { signal })
    }
  } finally {
    progress.end()
  }
  for (let look = 0; look < LETTER_LOOKS; look += 1) {
    if (((await readBacklog(path, deadLetterTopic))?.messages ?? 0) === 0) return
    await delay(LOOK_EVERY_MS, undefined, { signal })
  }
}
