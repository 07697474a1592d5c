import { setTimeout as delay } from 'node:timers/promises'
import type { DeadLetterFilter, DeadLetterReader, DeadLetterStore } from '../../shared/stores/dead-letter-store.ts'
import type { JobReader } from '../../shared/stores/job-store.ts'

const PAGE = 300
/** Google's emulator does not report what it still has to deliver. */
const WAIT_MS = 10_000
const LOOK_EVERY_MS = 50

/**
 * The records whose message is kept as a dead letter: waits until all failed jobs have one, at most a few seconds.
 *
 * Rejects with `signal`.
 */
export async function untilRecorded(
  letters: DeadLetterStore,
  reader: JobReader,
  batch: string,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const { dead_lettered: expected = 0 } = await reader.countByStatus(batch)
  const deadline = Date.now() + WAIT_MS
  for (;;) {
    const keys = await deadLetterKeys(letters, { batch })
    if (keys.size >= expected || Date.now() > deadline) return keys
    await delay(LOOK_EVERY_MS, undefined, { signal })
  }
}

/** The keys of the jobs that have a dead letter. */
export async function deadLetterKeys(
  letters: Pick<DeadLetterReader, 'list'>,
  filter: DeadLetterFilter = {},
): Promise<Set<string>> {
  const keys = new Set<string>()
  for (let after: string | undefined; ; ) {
    const { found } = await letters.list(filter, PAGE, after)
    for (const { key } of found) if (key !== undefined) keys.add(key)
    after = found.at(-1)?.id
    if (found.length < PAGE) return keys
  }
}
