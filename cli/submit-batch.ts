import type { Batch, BatchStore } from '../shared/stores/batch-store.ts'
import type { Submitted } from './publish-lines.ts'

export interface SubmitBatchOptions {
  readonly name: string
  readonly tokenLimit: number | undefined
  /** Whether a batch that was submitted whole may be submitted once more. */
  readonly again: boolean
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Publishes the batch's jobs; `beforeFirst` has to be awaited before anything is published. */
  readonly publish: (beforeFirst: () => Promise<void>) => Promise<Submitted>
}

/**
 * Publishes the jobs of a batch, and seals it with their number.
 *
 * A batch exists from its first published message: where nothing is published, nothing is written. Rejects where the
 * batch is not to be submitted to.
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
  if (goesOn(before, submitted, total)) await batches.seal(name, Math.max(total, totalOf(before)), now())
  return submitted
}

/**
 * Sealed again with as many jobs, a completed batch would have a second completion event. Any other is given the
 * time that its new messages have.
 */
function goesOn(before: Batch | undefined, { published }: Submitted, total: number): boolean {
  return total > totalOf(before) || (published > 0 && before?.status !== 'completed')
}

function totalOf(batch: Batch | undefined): number {
  return batch === undefined || batch.status === 'open' ? 0 : batch.total
}

/** Why nothing is to be published in a batch. A submit that broke off left it open, and goes on. */
function findObstacle(batch: Batch, again: boolean): string | undefined {
  if (batch.cancelledAt !== undefined) {
    return 'is cancelled, and so would these jobs be when they come: use another name'
  }
  // Earlier versions sealed a batch of which no line was a job.
  if (totalOf(batch) === 0 || again) return undefined
  return (
    `was submitted before, with ${totalOf(batch)} jobs: one batch is one file. Use another name for other jobs, or ` +
    'pass --again to send the same file once more: what has a record is not asked again, and the total never shrinks'
  )
}
