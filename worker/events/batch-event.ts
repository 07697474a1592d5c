import type { Message } from '../../shared/queues/job-queue.ts'
import type { BatchEnding, BatchTotals, SealedBatch } from '../../shared/stores/batch-store.ts'
import { eventMessage } from './cloud-event.ts'

/** A batch that has ended. */
export type EndedBatch = Pick<SealedBatch, 'name' | 'createdAt' | 'cancelledAt'> & BatchTotals & BatchEnding

/**
 * Creates the event of an ended batch: all jobs are settled, or some have no record and none can follow. If two sweeps
 * publish it, both events have the same id.
 *
 * `source`: the URI reference of the installation.
 */
export function batchEvent(batch: EndedBatch, source: string): Message {
  const { name, as, total, at, counts, tokens, createdAt, cancelledAt } = batch
  const subject = `promptBatches/${name}`
  const data = { batch: name, total, counts, tokens, createdAt, cancelledAt, [`${as}At`]: at }
  const event = {
    // A batch that receives more jobs ends again, with another total.
    id: `${subject}/${total}/${as}`,
    source,
    type: `promptbridge.batch.${as}`,
    subject,
    time: at,
    data: JSON.stringify(data),
  }
  return eventMessage(event, { batch: name, status: as })
}
