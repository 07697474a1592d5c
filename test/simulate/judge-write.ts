import { count, type Exercised } from './exercised.ts'
import type { Invariant } from './invariants.ts'
import { isOver, type SeenRecord, unknownsIn } from './records.ts'
import type { Process } from './world.ts'

/** As the documents have it. */
const SWEEP_GRACE_MS = 60_000
/** No attempt that counts is beyond. */
export const MAX_ATTEMPTS = 3

/** A claim begins no sooner than so long before it is written. */
const MAX_CLAIM_MS = 5_000

type Tell = (invariant: Invariant, what: string) => void

/** Looks at one write of a record: what it may change, and what never. */
export function judgeWrite(
  now: SeenRecord,
  was: SeenRecord | undefined,
  tell: Tell,
  exercised: Exercised,
  processes: ReadonlyMap<string, Process>,
): void {
  const what = `${now.key}: ${was === undefined ? 'nothing' : told(was)} becomes ${told(now)}`
  if (now.attempts.filter(({ run }) => run === now.run).length > MAX_ATTEMPTS) tell('attempts-bounded', what)
  if (was === undefined) return
  if (isOver(was)) {
    const isNextRun = now.run === was.run + 1 && now.status === 'running' && was.status !== 'succeeded'
    if (!isNextRun) tell(now.run === was.run ? 'one-result' : 'runs-in-order', what)
  } else if (now.run !== was.run) tell('runs-in-order', what)
  if (was.status === 'running' && now.owner !== was.owner) {
    judgeTakeover(now, was, () => tell('live-lease', what))
    const holder = processes.get(was.owner.split(':')[0] ?? '')
    if (holder !== undefined && !hadTrouble(holder, was.writtenAt)) tell('lost-reply-is-free', what)
  }
  tally(now, was, exercised)
}

function judgeTakeover(now: SeenRecord, { leaseMs = 0, writtenAt }: SeenRecord, tell: () => void): void {
  // Under the same name a message that Pub/Sub gave up ends a job whose time is over; it needs no more than that.
  const isSweep = now.owner === 'sweep' && !['expired', 'max_age'].includes(now.error?.kind ?? '')
  const graceMs = isSweep ? SWEEP_GRACE_MS : 0
  if (now.writtenAt - writtenAt < leaseMs + graceMs) tell()
}

/** Whether a process had enough to bear to leave an attempt that was written at this time. */
function hadTrouble({ isDead, troubledAt, lostRepliesAt }: Process, writtenAt: number): boolean {
  const since = writtenAt - MAX_CLAIM_MS
  return isDead || troubledAt >= since || lostRepliesAt.filter((at) => at >= since).length > 1
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
