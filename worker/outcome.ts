import type { Failure } from '../shared/job/failures.ts'
import type { SettledRecord } from '../shared/job/record.ts'

/** What is told of a delivery in the log: names and numbers, never a prompt or an answer. */
export interface Facts {
  readonly jobKey?: string
  readonly jobId?: string
  readonly batch?: string
  readonly run?: number
  readonly attempt?: number
  readonly deployment?: string
  readonly httpStatus?: number | undefined
  readonly requestId?: string | undefined
  readonly promptTokens?: number
  readonly completionTokens?: number
  /** This delivery waited for another of the same job on this instance. */
  readonly joined?: true
}

export type Outcome =
  /** Pub/Sub may forget the message. `as` says what became of it; `why` names the failure that ended it. */
  | { readonly done: true; readonly as: DoneAs; readonly why?: string; readonly facts: Facts }
  /** Pub/Sub is to deliver it again later. */
  | { readonly done: false; readonly failure: Failure; readonly facts: Facts }

/** repeated: an earlier delivery had settled it. superseded: a replay has taken its place. poison: it is no job. */
type DoneAs = SettledRecord['status'] | 'repeated' | 'superseded' | 'conflict' | 'poison' | LetterDoneAs

/** Of what came from the dead-letter topic. rescued: published to the jobs topic again. */
type LetterDoneAs = 'dead_letter_recorded' | 'rescued' | 'already_settled'
