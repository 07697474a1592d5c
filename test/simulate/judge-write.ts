import { count, type Exercised } from './exercised.ts'
import type { Invariant } from './invariants.ts'
import { isOver, type SeenRecord, unknownsIn } from './records.ts'

/** As the documents have it. */
const SWEEP_GRACE_MS = 60_000
/** No attempt that counts is beyond. */
export const MAX_ATTEMPTS = 3

type Tell = (invariant: Invariant, what: string) => void

/** Looks at one write of a record: what it may change, and what never. */
export function judgeWrite(now: SeenRecord, was: SeenRecord | undefined, tell: Tell, exercised: Exercised): void {
  const what = `${now.key}: ${was === undefined ? 'nothing' : told(was)} becomes ${told(now)}`
  if (now.attempts.filter(({ run }) => run === now.run).length > MAX_ATTEMPTS) tell('attempts-bounded', what)
  if (was === undefined) return
  if (isOver(was)) {
    const isNextRun = now.run === was.run + 1 && now.status === 'running' && was.status !== 'succeeded'
    if (!isNextRun) tell(now.run === was.run ? 'one-result' : 'runs-in-order', what)
  } else if (now.run !== was.run) tell('runs-in-order', what)
  if (was.status === 'running' && now.owner !== was.owner) judgeTakeover(now, was, () => tell('live-lease', what))
  tally(now, was, exercised)
}

function judgeTakeover(now: SeenRecord, { leaseMs = 0, writtenAt }: SeenRecord, tell: () => void): void {
  const graceMs = now.owner === 'sweep' ? SWEEP_GRACE_MS : 0
  if (now.writtenAt - writtenAt < leaseMs + graceMs) tell()
}

function tally(now: SeenRecord, was: SeenRecord, exercised: Exercised): void {
  if (was.status === 'running' && now.status === 'running' && now.owner !== was.owner) count(exercised, 'takeover')
  count(exercised, 'unknown attempt', Math.max(0, unknownsIn(now, now.run) - unknownsIn(was, now.run)))
  if (now.owner === 'sweep')
    count(exercised, now.status === 'waiting' ? 'job released by a sweep' : 'job ended by a sweep')
  if (now.error?.kind === 'max_attempts') count(exercised, 'attempts used up')
  if (now.error?.kind === 'budget') count(exercised, 'token limit reached')
}

function told({ status, run, owner, attempts }: SeenRecord): string {
  return `${status} (run ${run}, ${owner}, ${attempts.length} attempts)`
}
