import type { DeliveredJob } from '../delivery/delivery.ts'
import type { LogFields } from '../delivery/outcome.ts'
import type { Watch } from '../limits/batch-controls.ts'
import type { Observer } from '../observe/observer.ts'

/** What belongs to one delivery of a job, from admission to the end. */
export interface JobContext {
  readonly delivery: DeliveredJob
  /** The cancellation and the token limit of the job's batch. */
  readonly watch: Watch
  readonly observer: Observer
  /** What every line of the log says about the job. */
  readonly logFields: LogFields
}
