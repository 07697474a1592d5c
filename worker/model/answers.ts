import { type Failure, judgeServerError } from '../../shared/job/failures.ts'

/** What a deployment has done lately, as far as it says whose fault a server error is. */
export interface Answers {
  /** Of its last answer, in epoch milliseconds. */
  readonly answeredAt?: number
  /** The keys of the jobs that met a server error since then. */
  readonly failed: ReadonlySet<string>
}

export const NO_ANSWERS: Answers = { failed: new Set() }

/** So many jobs in a row are not at fault one by one: the deployment is. */
const JOBS_TO_BLAME_DEPLOYMENT = 3

export function onAnswered(now: number): Answers {
  return { ...NO_ANSWERS, answeredAt: now }
}

/** Says of a server error whether it is the job's own fault, and remembers it. Other failures stay as they are. */
export function judge(answers: Answers, failure: Failure, job: string, now: number): [Answers, Failure] {
  if (failure.kind !== 'unavailable' || failure.httpStatus !== 500) return [answers, failure]
  const { answeredAt, failed } = answers
  const all = failed.size >= JOBS_TO_BLAME_DEPLOYMENT ? failed : new Set(failed).add(job)
  const isDeploymentAtFault = answeredAt === undefined || all.size >= JOBS_TO_BLAME_DEPLOYMENT
  const judged = judgeServerError(failure, isDeploymentAtFault ? undefined : now - answeredAt)
  return [{ ...answers, failed: all }, judged]
}
