import type { WaitUntil } from '../../shared/identity/access-token-source.ts'
import type { Job } from '../../shared/job/job.ts'
import type { Message } from '../../shared/queues/job-queue.ts'

/** A job as one delivery brought it. */
export interface DeliveredJob {
  readonly job: Job
  /** As it came, for the dead-letter topic. */
  readonly message: Message
  /** When its message was published; where the push does not say, when it arrived. Epoch milliseconds. */
  readonly publishedAt: number
  /** When the push ends, in epoch milliseconds. */
  readonly deadline: number
  /** Takes what this push is to carry beside its job. */
  readonly waitUntil: WaitUntil
}
