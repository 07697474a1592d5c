import { isSettled, type JobRecord } from '../../shared/job/record.ts'
import { type DeadLetter, statusOf } from '../../shared/stores/dead-letter-store.ts'

/** A job that failed in this many runs is not replayed, because it would fail again. */
export const MAX_RUNS = 5

/** The same request fails again for these reasons. */
const OF_THE_REQUEST: readonly string[] = ['invalid', 'rejected', 'oversized', 'store']
/** What the request names may be there by now. */
const MAY_PASS: readonly (string | undefined)[] = ['previous_response_not_found']

/** Whether the job would fail again as it is, so that it must be edited first. */
export function mustBeEdited({ reason, code }: Pick<DeadLetter, 'reason' | 'code'>): boolean {
  return OF_THE_REQUEST.includes(reason) && !MAY_PASS.includes(code)
}

export interface ReplayRules {
  /** Also a letter that was replayed before. */
  readonly includeReplayed?: boolean
  /** Also a job that would fail again as it is, or that failed in many runs. */
  readonly force?: boolean
  /** The replay changes the job, so it may succeed. */
  readonly isChanged?: boolean
}

/** Why a letter is not replayed as it is, by what it says itself. Undefined if it may be. */
export function findObstacle(
  letter: DeadLetter,
  { includeReplayed, force, isChanged }: ReplayRules,
): string | undefined {
  if (letter.reason === 'conflict') return 'another job has the same id; give it another id with `dead-letters edit`'
  if (!includeReplayed && statusOf(letter) === 'replayed') {
    return 'it was replayed before; to replay it again, use --include-replayed'
  }
  if (force) return undefined
  if (letter.run >= MAX_RUNS) return `it has failed in ${letter.run} runs; find the cause, then use --force`
  if (!isChanged && mustBeEdited(letter))
    return 'it would fail again as it is; change it with `dead-letters edit`, or use --force'
  return undefined
}

/** Why its job must not run again now, by the job's record. */
export function findStateObstacle({ run }: DeadLetter, record: JobRecord | undefined): string | undefined {
  if (record === undefined) return undefined
  if (record.status === 'succeeded') return 'it has succeeded since then'
  if (record.run > run) return 'a later run has begun'
  return isSettled(record) ? undefined : 'it is not settled yet'
}
