import type { Clock } from '../lib/clock.ts'
import { defined } from '../lib/defined.ts'
import type { Batch, BatchStore } from './batch-store.ts'

export interface Published {
  readonly published: number
  /** Published messages that are the same job as an earlier one. */
  readonly repeated: number
  /** Jobs that got the answers of earlier batches, and are not published. Absent if none was looked for. */
  readonly linked?: number
  /** False if the publishing was interrupted, so that the batch stays open. */
  readonly isWhole?: boolean
}

/** No job can be submitted to this batch. Its message says why. */
export class BatchObstacleError extends Error {
  override readonly name = 'BatchObstacleError'
}

interface SubmitBatchOptions<P extends Published> {
  readonly name: string
  /** The same for the same jobs; undefined if it is not known. */
  readonly fingerprint?: string | undefined
  /** The same for the same inputs; undefined if its jobs are not made of documents. */
  readonly source?: string | undefined
  readonly tokenLimit: number | undefined
  /** Whether a batch that was submitted completely may be submitted again. */
  readonly again: boolean
  /** How the caller says that: `pass --resubmit`. */
  readonly howAgain: string
  readonly now: Clock
  /** Publishes the batch's jobs. Must await `beforeFirst` before it publishes or links the first one. */
  readonly publish: (beforeFirst: () => Promise<void>) => Promise<P>
}

/**
 * Publishes the jobs of a batch, and seals it with their number.
 *
 * A batch exists from its first job: if nothing is published or linked, nothing is written. Rejects with
 * BatchObstacleError, with StoreError, and as `publish` does.
 */
export async function submitBatch<P extends Published>(
  batches: Pick<BatchStore, 'read' | 'open' | 'limitTokens' | 'seal'>,
  { name, fingerprint, source, tokenLimit, again, howAgain, now, publish }: SubmitBatchOptions<P>,
): Promise<P> {
  const before = await batches.read(name)
  const obstacle = before && findObstacle(before, { fingerprint, again, howAgain })
  if (obstacle !== undefined) throw new BatchObstacleError(`batch ${JSON.stringify(name)} ${obstacle}`)
  const submitted = await publish(async () => {
    await batches.open(name, now(), defined({ fingerprint, source }))
    if (tokenLimit !== undefined) await batches.limitTokens(name, tokenLimit, now())
  })
  if (submitted.isWhole === false) return submitted
  const { published, repeated, linked } = submitted
  const total = published - repeated + (linked ?? 0)
  if (sealsAgain(before, submitted, total)) await batches.seal(name, Math.max(total, totalOf(before)), now(), linked)
  return submitted
}

/**
 * Whether to seal the batch again. A completed batch that is sealed again with the same number of jobs would have a second
 * completion event. Any other batch gets as much time as its new messages have.
 */
function sealsAgain(before: Batch | undefined, { published }: Published, total: number): boolean {
  return total > totalOf(before) || (published > 0 && before?.status !== 'completed')
}

function totalOf(batch: Batch | undefined): number {
  return batch === undefined || batch.status === 'open' ? 0 : batch.total
}

/** Why no job can be submitted to a batch. A batch that an interrupted submit left open has no obstacle. */
function findObstacle(
  batch: Batch,
  { fingerprint, again, howAgain }: Pick<SubmitBatchOptions<Published>, 'fingerprint' | 'again' | 'howAgain'>,
): string | undefined {
  if (batch.cancelledAt !== undefined) {
    return 'is cancelled, so these jobs would be cancelled as well. Use another name'
  }
  if (fingerprint !== undefined && batch.fingerprint !== undefined && batch.fingerprint !== fingerprint) {
    return 'was submitted with other jobs. A batch is submitted once. Use another name'
  }
  // Earlier versions sealed a batch of which no line was a job.
  if (totalOf(batch) === 0 || again) return undefined
  return (
    `was submitted before, with ${totalOf(batch)} jobs. A batch is submitted once. Use another name for other jobs. To submit the same jobs ` +
    `again, ${howAgain}: jobs that have a record are not run again, and the total never decreases`
  )
}
