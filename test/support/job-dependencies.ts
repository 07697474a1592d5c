import type { AdmitDependencies } from '../../worker/jobs/admit.ts'
import type { PlanDependencies } from '../../worker/jobs/plan-job.ts'
import type { JobDependencies } from '../../worker/jobs/process-job.ts'
import type { RunDependencies } from '../../worker/jobs/run-job.ts'

type Run = RunDependencies
type Steps = PlanDependencies & AdmitDependencies & Run['claim'] & Run['ask'] & Run['settle']

/** All that the steps of a job need, in one bag, so that a test replaces a single one. */
export type JobParts = Steps & Pick<Run, 'daily' | 'random'> & Pick<JobDependencies, 'controls' | 'observer'>

/** Gives each step what it needs. */
export function jobDependencies(parts: JobParts): JobDependencies {
  const { controls, observer, daily, random } = parts
  const run = { claim: parts, ask: parts, settle: parts, daily, random }
  return { controls, observer, plan: parts, admit: parts, run }
}
