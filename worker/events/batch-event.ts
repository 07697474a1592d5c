import type { Message } from '../../shared/queues/job-queue.ts'
import type { BatchEnding, BatchTotals, SealedBatch } from '../../shared/stores/batch-store.ts'
import { eventMessage } from './cloud-event.ts'

/** A batch that is over. */
export type EndedBatch = Pick<SealedBatch, 'name' | 'createdAt' | 'cancelledAt'> & BatchTotals & BatchEnding

/**
 * Says how a batch ended: every job of it is settled, or of some there is no record and none can come. Two sweeps may say
 * it; then both under the same id.
 *
 * `source`: the URI reference of what counted it.
 */
export function batchEvent(batch: EndedBatch, source: string): Message {
  const { name, as, total, at, counts, tokens, createdAt, cancelledAt } = batch
  const subject = `promptBatches/${name}`
  const data = { batch: name, total, counts, tokens, createdAt, cancelledAt, [`${as}At`]: at }
  const event = {
    // A batch that is submitted to again ends again, with another total.
    id: `${subject}/${total}/${as}`,
    source,
    type: `promptbridge.batch.${as}`,
    subject,
    time: at,
    data: JSON.stringify(data),
  }
  return eventMessage(event, { batch: name, status: as })
}
