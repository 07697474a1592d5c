import type { WaitUntil } from '../../shared/identity/access-token-source.ts'
import type { Job } from '../../shared/job/job.ts'
import type { Message } from '../../shared/queues/job-queue.ts'

/** A job with the delivery that brought it. */
export interface DeliveredJob {
  readonly job: Job
  /** The unchanged message, for the dead-letter topic. */
  readonly message: Message
  /** When its message was published, or when it arrived if the push does not say. Epoch milliseconds. */
  readonly publishedAt: number
  /** When the push ends, in epoch milliseconds. */
  readonly deadline: number
  /** Adds background work that the response waits for. */
  readonly waitUntil: WaitUntil
}
