import type { Message } from '../../shared/queue/job-queue.ts'
import type { BatchTotals, SealedBatch } from '../../shared/store/batch-store.ts'
import { eventMessage } from './cloud-event.ts'

/** A batch of which every job is settled. */
export type EndedBatch = Omit<SealedBatch, keyof BatchTotals> & BatchTotals

/**
 * Tells that every job of a batch is settled. Two sweeps may tell it; then both under the same id.
 *
 * `source`: the URI reference of what counted it.
 */
export function batchEvent(batch: EndedBatch, source: string): Message {
  const { name, total, counts, tokens, createdAt, cancelledAt, sweptAt } = batch
  const subject = `promptBatches/${name}`
  const event = {
    // A batch that is submitted to again ends again, with another total.
    id: `${subject}/${total}/completed`,
    source,
    type: 'promptbridge.batch.completed',
    subject,
    time: sweptAt,
    data: JSON.stringify({ batch: name, total, counts, tokens, createdAt, cancelledAt, completedAt: sweptAt }),
  }
  return eventMessage(event, { batch: name, status: 'completed' })
}
