import { setTimeout as delay } from 'node:timers/promises'
import { readBacklog } from '../../shared/queues/sqlite/backlog.ts'
import type { StoreReaders } from '../../shared/stores/open.ts'
import { followBatch } from '../batches/follow-batch.ts'
import { showOn } from '../batches/show-progress.ts'
import { createProgressLine } from '../progress-line.ts'

const LOOK_EVERY_MS = 250
/** How often it looks whether the dead letters of the last jobs are recorded. */
const LETTER_LOOKS = 40

export interface UntilEndedOptions {
  /** The file of the queue. */
  readonly path: string
  readonly deadLetterTopic: string
  readonly batch: string
  readonly stores: Pick<StoreReaders, 'batches' | 'documents'>
  readonly signal: AbortSignal
  readonly isQuiet: boolean
}

/** Shows the progress until the batch has ended, and its dead letters are recorded. Rejects with the signal. */
export async function untilEnded(options: UntilEndedOptions): Promise<void> {
  const { path, deadLetterTopic, batch, stores, signal, isQuiet } = options
  const line = createProgressLine(process.stderr)
  try {
    for await (const observed of followBatch(stores, batch, { everyMs: LOOK_EVERY_MS, now: Date.now, signal })) {
      if (!isQuiet) showOn(line, observed)
    }
  } finally {
    line.end()
  }
  for (let look = 0; look < LETTER_LOOKS; look += 1) {
    if (((await readBacklog(path, deadLetterTopic))?.messages ?? 0) === 0) return
    await delay(LOOK_EVERY_MS, undefined, { signal })
  }
}
