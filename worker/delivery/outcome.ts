import type { Failure } from '../../shared/job/failures.ts'

/** The log fields of a delivery: names and numbers, never a prompt or an answer. */
export interface LogFields {
  readonly jobKey?: string
  readonly jobId?: string
  readonly batch?: string
  readonly run?: number
  readonly attempt?: number
  readonly deployment?: string
  readonly provider?: string
  readonly httpStatus?: number | undefined
  readonly requestId?: string | undefined
  readonly promptTokens?: number
  readonly completionTokens?: number
  /** This delivery waited for another of the same job on this instance. */
  readonly joined?: true
}

export type Outcome =
  /** The message is acknowledged. `as`: the result. `why`: the failure that ended the job. */
  | { readonly done: true; readonly as: DoneAs; readonly why?: string; readonly logFields: LogFields }
  /** Pub/Sub is to redeliver the message later. */
  | { readonly done: false; readonly failure: Failure; readonly logFields: LogFields }

/** repeated: an earlier delivery had settled it. superseded: a replay has taken its place. poison: it is not a valid job. */
export const jobOutcomes = [
  'succeeded',
  'dead_lettered',
  'cancelled',
  'expired',
  'repeated',
  'superseded',
  'conflict',
  'poison',
] as const

/** Outcomes of deliveries from the dead-letter topic. rescued: published to the jobs topic again. */
const deadLetterOutcomes = ['dead_letter_recorded', 'rescued', 'already_settled'] as const

/**
 * Every value of `outcome` in the log. Metric filters match these names. retry: Pub/Sub is to redeliver the message.
 */
export const outcomes = [
  ...jobOutcomes,
  ...deadLetterOutcomes,
  'retry',
  'refused_push',
  'broken_push',
  'day_closed',
  'batch_stopped',
  'event_refused',
  'swept',
  'sweep_failed',
  'sweep_refused',
  'sweep_deferred',
  'sweep_fault',
  'circuit_opened',
  'circuit_closed',
  'token_failure',
  'token_recovered',
] as const
export type LoggedOutcome = (typeof outcomes)[number]

type DoneAs = (typeof jobOutcomes)[number] | (typeof deadLetterOutcomes)[number]

declare module 'pino' {
  /** The type check refuses a log line whose outcome is not in the list. */
  interface LogFnFields {
    outcome?: LoggedOutcome
  }
}
