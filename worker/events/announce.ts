import type { Prices } from '../../shared/job/price.ts'
import type { SettledRecord } from '../../shared/job/record.ts'
import { type JobQueue, type Message, QueueError } from '../../shared/queues/job-queue.ts'
import type { LogFields } from '../delivery/outcome.ts'
import type { Log } from '../observe/log.ts'
import { batchEvent, type EndedBatch } from './batch-event.ts'
import { completionEvent } from './completion-event.ts'

export interface Announcing {
  readonly queue: Pick<JobQueue, 'publish'>
  /** Undefined: no events are published. */
  readonly topic: string | undefined
  readonly project: string | undefined
  readonly log: Log
}

export interface AnnouncingJobs extends Announcing {
  /** For the estimated cost of a job. Without them, events have none. */
  readonly prices?: Prices
}

/**
 * Publishes how a job ended to the events topic.
 *
 * Resolves once the event is durable, or if the topic refuses it for good: its job must not be redelivered for ever. Rejects
 * with QueueError `unavailable`.
 */
export type Announce = (record: SettledRecord) => Promise<void>

export function createAnnouncer({ prices, ...announcing }: AnnouncingJobs): Announce {
  return (record) => {
    const { key: jobKey, id: jobId, batch, run } = record
    return publish(announcing, (source) => completionEvent(record, source, prices), { jobKey, jobId, batch, run })
  }
}

/** Publishes that a batch has ended, in the same way. */
export type AnnounceBatch = (batch: EndedBatch) => Promise<void>

export function createBatchAnnouncer(announcing: Announcing): AnnounceBatch {
  return (batch) => publish(announcing, (source) => batchEvent(batch, source), { batch: batch.name })
}

async function publish(
  { queue, topic, project, log }: Announcing,
  event: (source: string) => Message,
  logFields: LogFields,
): Promise<void> {
  if (topic === undefined) return
  try {
    await queue.publish(topic, event(eventSource(project)))
  } catch (error) {
    if (!(error instanceof QueueError) || error.code !== 'refused') throw error
    log.error({ outcome: 'event_refused', ...logFields, error }, 'an event can never be published')
  }
}

/** Returns the `source` of all events of one installation. */
function eventSource(project: string | undefined): string {
  return project === undefined ? '/promptbridge' : `/promptbridge/projects/${encodeURIComponent(project)}`
}
