import type { Failure } from '../../shared/job/failures.ts'
import { QueueError } from '../../shared/queues/job-queue.ts'
import { StoreError } from '../../shared/stores/job-store.ts'

/** Converts an error of a store or a topic to the job's failure; undefined for any other error. `topic`: beside that of events. */
export function storeFailure(error: unknown, topic = 'the dead-letter topic'): Failure | undefined {
  if (error instanceof StoreError) return { kind: 'store', code: error.code, message: error.message }
  if (!(error instanceof QueueError)) return undefined
  return { kind: 'store', code: error.code, message: `${topic} or the events topic is unavailable` }
}
