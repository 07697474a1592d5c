import type { TokenFailure } from '../../shared/stores/telemetry-store.ts'
import type { Break } from './breaks.ts'

/** The result of a system with one wrong setting. Nothing in it comes from the worker. */
export interface ScenarioResult {
  /** How many jobs were submitted. */
  readonly jobs: number
  /** Messages that Pub/Sub still has to deliver. */
  readonly waiting: number
  /** Jobs whose message is kept as a dead letter. */
  readonly deadLettered: number
  /** Model calls that were paid. */
  readonly paidCalls: number
  /** How many token requests Entra received. */
  readonly exchanges: number
  readonly failures: readonly TokenFailure[]
  readonly isWorkerStarted: boolean
  readonly doctor: { readonly code: number | null; readonly output: string }
}

/** The differences from the expected result; empty if there are none. */
export function judgeBreak(broken: Break, found: ScenarioResult): readonly string[] {
  return [...judgeJobs(broken, found), ...judgeFailures(broken, found), ...judgeDoctor(broken, found)]
}

function judgeJobs({ exchanges: [least, most], isRefusedAtStart }: Break, found: ScenarioResult): string[] {
  const { jobs, waiting, deadLettered, paidCalls, exchanges, isWorkerStarted } = found
  const problems: string[] = []
  if (waiting !== jobs) problems.push(`${waiting} of ${jobs} jobs wait, expected ${jobs}`)
  if (deadLettered > 0) problems.push(`${deadLettered} jobs are dead-lettered`)
  if (paidCalls > 0) problems.push(`${paidCalls} model calls were paid`)
  if (exchanges < least || exchanges > most) {
    problems.push(`Entra received ${exchanges} token requests, expected ${least} to ${most}`)
  }
  if (isWorkerStarted === (isRefusedAtStart === true)) {
    problems.push(isWorkerStarted ? 'the worker started' : 'the worker did not start')
  }
  return problems
}

function judgeFailures({ leg, fix }: Break, { failures }: ScenarioResult): string[] {
  if (leg === undefined) return failures.length === 0 ? [] : ['tokenFailures has a failure, but no token failed']
  const recorded = failures.filter((failure) => failure.leg === leg)
  if (recorded.length === 0) return [`tokenFailures has no failure of ${leg}`]
  // The worker cannot recognize a wrong clock, because it has no other clock to compare with.
  const hasFix = recorded.some(({ hint }) => fix.test(hint) || /check the clock/.test(hint))
  return hasFix ? [] : ['tokenFailures does not contain the fix']
}

function judgeDoctor({ fails, fix }: Break, { doctor: { code, output } }: ScenarioResult): string[] {
  const failed = [...output.matchAll(/^✗ (.+?) {2}/gm)].map(([, step = '']) => step)
  const isExpected = failed.length === fails.length && fails.every((name, at) => failed[at]?.startsWith(name))
  const problems: string[] = []
  if (code !== 1) problems.push(`the doctor ended with ${code}, expected 1`)
  if (!isExpected) problems.push(`the doctor failed at: ${failed.join(', ')}; expected: ${fails.join(', ')}`)
  if (!fix.test(output)) problems.push('the doctor does not print the fix')
  return problems
}
