import type { EstimatedCost, JobError, Usage } from './types.ts'

/* What parseEvent gives, and takes. */

interface EventHead {
  /** Two deliveries with the same key are one event: an event can come more than once. */
  readonly key: string
  /** As CloudEvents has it: `promptbridge.job.succeeded`. */
  readonly type: string
  readonly source: string
  readonly time: Date
}

interface EventJob {
  readonly id: string
  readonly batch: string
  readonly run: number
  readonly model?: string | undefined
  readonly metadata: Readonly<Record<string, string>>
  /** The path of the record: `promptJobs/KEY`. */
  readonly recordPath: string
  readonly cost?: EstimatedCost | undefined
}

/** A job that ended. */
export type JobEvent = EventHead &
  EventJob & { readonly kind: 'job' } & (
    | {
        readonly status: 'succeeded'
        readonly usage: Usage
        readonly usageKnown: boolean
        readonly finishReason: string
        /** The service tier that answered. Absent if the answer names none. */
        readonly tier?: string | undefined
        /** Absent if the answer has no text, or is too long for an event. */
        readonly text?: string | undefined
        /** The model's whole answer. Absent if it is too long for an event. */
        readonly result?: unknown
      }
    | { readonly status: 'dead_lettered' | 'cancelled' | 'expired'; readonly error: JobError }
  )

/** A batch that ended. */
export type BatchEvent = EventHead & {
  readonly kind: 'batch'
  readonly status: 'completed' | 'incomplete'
  readonly batch: string
  readonly total: number
  /** How many jobs have each status. */
  readonly counts: Readonly<Record<string, number>>
  /** Of the jobs that succeeded. Absent if they could not be summed. */
  readonly usage?: Usage | undefined
}

export type PromptbridgeEvent = JobEvent | BatchEvent

/** Headers of a request, as `fetch` or as Node's http module has them. */
export type HeadersLike =
  | { get(name: string): string | null }
  | Readonly<Record<string, string | readonly string[] | undefined>>
