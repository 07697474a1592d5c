import type { Failure } from '../../shared/job/failures.ts'

/** What the first answers to a batch's jobs were, as far as this instance knows. */
export type Beginning =
  /** All answers so far were this refusal. `code`: undefined before the first; '' for a refusal without a code. */
  | { readonly kind: 'undecided'; readonly code: string | undefined; readonly refusals: number }
  /** One was of another sort: the batch is not stopped any more. */
  | { readonly kind: 'mixed' }
  /** The next job would be refused as well, and would use quota. */
  | { readonly kind: 'stopped'; readonly code: string }

export const NOT_BEGUN: Beginning = { kind: 'undecided', code: undefined, refusals: 0 }
const MIXED: Beginning = { kind: 'mixed' }

/** A replay goes on, because an operator has decided that it should. */
export const isStoppable = (run: number) => run === 1

/** So many equal refusals, and no other answer, stop a batch. */
export const REFUSALS_TO_STOP = 20

/** These say something about one document. They are no evidence about the other jobs. */
const OF_ONE_DOCUMENT = /^(content_filter|context_length_exceeded)\b/

/**
 * Learns from the reply to one job of a batch. `failure`: undefined if the job was answered.
 *
 * Only an answer and a 400 count. Quota, outages and denials say nothing about the jobs. An answer to a job that was under
 * way when the batch was stopped lets the batch go on.
 */
export function afterReply(beginning: Beginning, failure: Failure | undefined): Beginning {
  if (failure === undefined) return MIXED
  const { kind, httpStatus, code = '' } = failure
  if (kind !== 'rejected' || httpStatus !== 400 || OF_ONE_DOCUMENT.test(code)) return beginning
  if (beginning.kind !== 'undecided') return beginning
  if (beginning.code !== undefined && beginning.code !== code) return MIXED
  const refusals = beginning.refusals + 1
  return refusals < REFUSALS_TO_STOP ? { kind: 'undecided', code, refusals } : { kind: 'stopped', code }
}
