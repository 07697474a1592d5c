import type { Failure } from '../job/failures.ts'

/** What a deployment did lately: it decides whether a server error is the fault of the deployment or of the job. */
export interface Answers {
  /** The time of its last answer, in epoch milliseconds. */
  readonly answeredAt?: number
  /** The keys of the jobs that met a server error since then. */
  readonly failed: ReadonlySet<string>
}

export const NO_ANSWERS: Answers = { failed: new Set() }

/** If this many jobs in a row get a server error, the deployment is at fault. */
const JOBS_TO_BLAME_DEPLOYMENT = 3

/** A server error is caused by the job if the same deployment answered another job within this time. Milliseconds. */
const OWN_FAULT_WITHIN_MS = 60_000

export function onAnswered(now: number): Answers {
  return { ...NO_ANSWERS, answeredAt: now }
}

/** Decides whether a server error is the job's own fault, and keeps the job's key. Other failures stay as they are. */
export function judge(answers: Answers, failure: Failure, job: string, now: number): [Answers, Failure] {
  if (failure.kind !== 'unavailable' || failure.httpStatus !== 500) return [answers, failure]
  const { answeredAt, failed } = answers
  const all = failed.size >= JOBS_TO_BLAME_DEPLOYMENT ? failed : new Set(failed).add(job)
  const isDeploymentAtFault = answeredAt === undefined || all.size >= JOBS_TO_BLAME_DEPLOYMENT
  const judged = judgeServerError(failure, isDeploymentAtFault ? undefined : now - answeredAt)
  return [{ ...answers, failed: all }, judged]
}

/**
 * Classifies a server error. The job caused it, and the attempt counts, if the deployment answered another job within the
 * last minute. `answeredAgoMs`: milliseconds since the deployment's last answer, if there was one.
 */
export function judgeServerError(failure: Failure, answeredAgoMs: number | undefined): Failure {
  const { kind, httpStatus } = failure
  const isOwn = kind === 'unavailable' && httpStatus === 500 && (answeredAgoMs ?? Infinity) <= OWN_FAULT_WITHIN_MS
  return isOwn ? { ...failure, kind: 'ambiguous' } : failure
}
