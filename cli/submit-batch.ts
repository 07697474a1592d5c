import type { Clock } from '../shared/lib/clock.ts'
import type { Batch, BatchStore } from '../shared/stores/batch-store.ts'
import type { Submitted } from './publish-lines.ts'

export interface SubmitBatchOptions {
  readonly name: string
  readonly tokenLimit: number | undefined
  /** Whether a batch that was submitted completely may be submitted again. */
  readonly again: boolean
  readonly now: Clock
  /** Publishes the batch's jobs. Must await `beforeFirst` before it publishes the first one. */
  readonly publish: (beforeFirst: () => Promise<void>) => Promise<Submitted>
}

/**
 * Publishes the jobs of a batch, and seals it with their number.
 *
 * A batch exists from its first published message: if nothing is published, nothing is written. Rejects if jobs cannot be
 * submitted to the batch.
 */
export async function submitBatch(
  batches: Pick<BatchStore, 'read' | 'open' | 'limitTokens' | 'seal'>,
  { name, tokenLimit, again, now, publish }: SubmitBatchOptions,
): Promise<Submitted> {
  const before = await batches.read(name)
  const obstacle = before && findObstacle(before, again)
  if (obstacle !== undefined) throw new Error(`batch ${JSON.stringify(name)} ${obstacle}`)
  const submitted = await publish(async () => {
    await batches.open(name, now())
    if (tokenLimit !== undefined) await batches.limitTokens(name, tokenLimit, now())
  })
  const total = submitted.published - submitted.repeated
  if (sealsAgain(before, submitted, total)) await batches.seal(name, Math.max(total, totalOf(before)), now())
  return submitted
}

/**
 * Whether to seal the batch again. A completed batch that is sealed again with the same number of jobs would have a second
 * completion event. Any other batch gets as much time as its new messages have.
 */
function sealsAgain(before: Batch | undefined, { published }: Submitted, total: number): boolean {
  return total > totalOf(before) || (published > 0 && before?.status !== 'completed')
}

function totalOf(batch: Batch | undefined): number {
  return batch === undefined || batch.status === 'open' ? 0 : batch.total
}

/** Why no job can be submitted to a batch. A batch that an interrupted submit left open has no obstacle. */
function findObstacle(batch: Batch, again: boolean): string | undefined {
  if (batch.cancelledAt !== undefined) {
    return 'is cancelled, so these jobs would be cancelled as well. Use another name'
  }
  // Earlier versions sealed a batch of which no line was a job.
  if (totalOf(batch) === 0 || again) return undefined
  return (
    `was submitted before, with ${totalOf(batch)} jobs. One batch is one file. Use another name for other jobs. To submit ` +
    'the same file again, pass --again: jobs that have a record are not run again, and the total never decreases'
  )
}
