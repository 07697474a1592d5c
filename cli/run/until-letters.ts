import { readBacklog } from '../../shared/queues/sqlite/backlog.ts'
import type { BatchProgress } from '../../shared/stores/batch-progress.ts'
import type { StoreReaders } from '../../shared/stores/open.ts'
import { deadLetterKeys } from '../demo/until-recorded.ts'

const MAX_LOOKS = 40
/** Usually they are recorded by then, and there is nothing to say. */
const LATE_AFTER_LOOKS = 4

export interface LettersOptions {
  /** The file of the queue. */
  readonly path: string
  readonly jobsTopic: string
  readonly deadLetterTopic: string
  readonly deadLetters: Pick<StoreReaders['deadLetters'], 'list'>
  /** Waits until the next look. Rejects to end the wait. */
  readonly wait: () => Promise<unknown>
  /** Called once, if the wait may be noticed. */
  readonly onLate: () => void
}

/**
 * Waits until a worker has recorded the dead letters of a batch that has ended, but not without end: one that cannot be
 * recorded stays in the queue, and the next worker tries again. Resolves with whether they are recorded.
 */
export async function untilLetters(
  batch: Pick<BatchProgress, 'name' | 'counts'> | undefined,
  options: LettersOptions,
): Promise<boolean> {
  const { wait, onLate } = options
  const { dead_lettered: expected = 0 } = batch?.counts ?? {}
  if (batch === undefined || expected === 0) return true
  for (let look = 1; ; look += 1) {
    if (await areRecorded(batch.name, expected, options)) return true
    if (look === MAX_LOOKS) return false
    if (look === LATE_AFTER_LOOKS) onLate()
    await wait()
  }
}

/** A job's message is acknowledged after its dead letter is published. Other batches may have messages as well. */
async function areRecorded(
  batch: string,
  expected: number,
  { path, jobsTopic, deadLetterTopic, deadLetters }: LettersOptions,
): Promise<boolean> {
  const messages = async (topic: string) => (await readBacklog(path, topic))?.messages ?? 0
  const jobs = await messages(jobsTopic)
  if ((await messages(deadLetterTopic)) > 0) return false
  return jobs === 0 || (await deadLetterKeys(deadLetters, { batch })).size >= expected
}
