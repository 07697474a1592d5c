import type { SettledRecord } from '../../shared/job/record.ts'
import type { Log } from '../../shared/log.ts'
import { type JobQueue, QueueError } from '../../shared/queue/job-queue.ts'
import { completionEvent } from './completion-event.ts'

export interface Announcing {
  readonly queue: Pick<JobQueue, 'publish'>
  /** Undefined: nobody wants events. */
  readonly topic: string | undefined
  readonly project: string | undefined
  readonly log: Log
}

/**
 * Tells the events topic how a job ended.
 *
 * Resolves once the event is durable or can never be: it must not keep its job coming for ever. Rejects with QueueError
 * `unavailable`.
 */
export type Announce = (record: SettledRecord) => Promise<void>

export function createAnnouncer({ queue, topic, project, log }: Announcing): Announce {
  if (topic === undefined) return async () => undefined
  const source = eventSource(project)
  return async (record) => {
    try {
      await queue.publish(topic, completionEvent(record, source))
    } catch (error) {
      if (!(error instanceof QueueError) || error.code !== 'refused') throw error
      const { key: jobKey, id: jobId, batch, run } = record
      log.error({ outcome: 'event_refused', jobKey, jobId, batch, run, error }, 'an event can never be published')
    }
  }
}

/** What the events of one installation have in common; without a project it is this machine's own. */
function eventSource(project: string | undefined): string {
  return project === undefined ? '/promptbridge' : `/promptbridge/projects/${encodeURIComponent(project)}`
}
