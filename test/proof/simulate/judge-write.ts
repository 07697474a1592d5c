import { count, type Exercised } from './exercised.ts'
import type { ModelCall } from './fake-model.ts'
import type { Invariant } from './invariants.ts'
import { nameOf } from './model-windows.ts'
import { isOver, type SeenRecord, unknownsIn } from './records.ts'
import { GOOD, MAX_ATTEMPTS, MAX_TIMEOUTS, MISSING_ENDS_AFTER_MS, OTHER, SPARE, SWEEP_GRACE_MS } from './settings.ts'
import type { Process } from './world.ts'

/** A claim begins no sooner than so long before it is written. */
const MAX_CLAIM_MS = 5_000

type Breach = (invariant: Invariant, what: string) => void

/** One write of a record. */
interface RecordWrite {
  readonly now: SeenRecord
  readonly was: SeenRecord | undefined
  readonly processes: ReadonlyMap<string, Process>
  /** What the model did with the sends until now. */
  readonly calls: readonly ModelCall[]
  /** When each deployment was found missing first, in epoch milliseconds. */
  readonly missingSince: ReadonlyMap<string, number>
}

/** Looks at one write of a record: what it may change, and what never. */
export function judgeWrite(write: RecordWrite, breach: Breach, exercised: Exercised): void {
  const { now, was, processes } = write
  const what = `${now.key}: ${was === undefined ? 'nothing' : summaryOf(was)} becomes ${summaryOf(now)}`
  judgeAttempts(write, (invariant) => breach(invariant, what))
  if (now.error?.kind === 'no_deployment' && !isMissing(write)) breach('missing-waits', what)
  if (was === undefined) return
  if (isOver(was)) {
    const isNextRun = now.run === was.run + 1 && now.status === 'running' && was.status !== 'succeeded'
    if (!isNextRun) breach(now.run === was.run ? 'one-result' : 'runs-in-order', what)
  } else if (now.run !== was.run) breach('runs-in-order', what)
  if (was.status === 'running' && now.owner !== was.owner) {
    judgeTakeover(now, was, () => breach('live-lease', what))
    const holder = holderOf(was.owner, processes)
    if (holder !== undefined && !hadTrouble(holder, was.writtenAt)) breach('lost-reply-is-free', what)
  }
  const waitedMs = now.writtenAt - was.writtenAt
  const isEarly = was.status === 'waiting' && now.status === 'running' && waitedMs < (was.waitMs ?? 0)
  if (isEarly && (now.waitsFor ?? []).join() !== (was.waitsFor ?? ['']).join()) breach('waits', what)
  if (isEarly) count(exercised, 'attempt elsewhere during a wait')
  tally(now, was, exercised)
}

/** What may limit a run: never that the provider was unavailable. */
function judgeAttempts({ now, processes, calls }: RecordWrite, breach: (invariant: Invariant) => void): void {
  const ofRun = now.attempts.filter(({ run }) => run === now.run)
  if (ofRun.length > MAX_ATTEMPTS) breach('attempts-bounded')
  if (ofRun.filter(({ cause }) => cause === 'timeout').length > MAX_TIMEOUTS) breach('timeouts-bounded')
  if (now.status !== 'dead_lettered' || now.error?.kind !== 'max_attempts') return
  const isOutage = ofRun.every(({ n, owner }) => {
    const holder = holderOf(owner, processes)
    const isCut = holder === undefined || holder.isDead || holder.troubledAt > 0
    return !isCut && calls.some((call) => call.requestId === `${now.key}.${now.run}.${n}` && isUnavailable(call))
  })
  if (isOutage) breach('outage-kills-none')
}

/** Whether a deployment of the job's model has been missing for so long that jobs end. */
function isMissing({ now, missingSince }: RecordWrite): boolean {
  const serving = now.model === OTHER.model ? [OTHER] : [GOOD, SPARE]
  return serving.some((each) => now.writtenAt - (missingSince.get(nameOf(each)) ?? Infinity) >= MISSING_ENDS_AFTER_MS)
}

/** A 500 may be the job's own fault. */
function isUnavailable({ reply }: ModelCall): boolean {
  return reply?.ok === false && reply.failure.kind === 'unavailable' && reply.failure.httpStatus !== 500
}

function judgeTakeover(now: SeenRecord, { leaseMs = 0, writtenAt }: SeenRecord, breach: () => void): void {
  // Under the same name a message that Pub/Sub gave up ends a job whose time is over; it needs no more than that.
  const isSweep = now.owner === 'sweep' && !['expired', 'max_age'].includes(now.error?.kind ?? '')
  const graceMs = isSweep ? SWEEP_GRACE_MS : 0
  if (now.writtenAt - writtenAt < leaseMs + graceMs) breach()
}

function holderOf(owner: string, processes: ReadonlyMap<string, Process>): Process | undefined {
  return processes.get(owner.split(':')[0] ?? '')
}

/** Whether a process had enough to bear to leave an attempt that was written at this time. */
function hadTrouble({ isDead, troubledAt, lostRepliesAt }: Process, writtenAt: number): boolean {
  const since = writtenAt - MAX_CLAIM_MS
  return isDead || troubledAt >= since || lostRepliesAt.filter((at) => at >= since).length > 1
}

function tally(now: SeenRecord, was: SeenRecord, exercised: Exercised): void {
  if (was.status === 'running' && now.status === 'running' && now.owner !== was.owner) count(exercised, 'takeover')
  count(exercised, 'unknown attempt', Math.max(0, unknownsIn(now, now.run) - unknownsIn(was, now.run)))
  const folded = (record: SeenRecord) => record.folded?.find(({ run }) => run === now.run)?.n ?? 0
  if (folded(now) > folded(was)) count(exercised, 'folded attempt')
  if (folded(now) >= MAX_ATTEMPTS && now.status === 'succeeded') count(exercised, 'outage survived')
  if (now.owner === 'sweep')
    count(exercised, now.status === 'waiting' ? 'job released by a sweep' : 'job ended by a sweep')
  if (isOverSwept(now, was)) count(exercised, 'answer written over a swept record')
  if (now.error?.kind === 'max_attempts') count(exercised, 'attempts used up')
  if (now.error?.kind === 'no_deployment') count(exercised, 'ended by a missing deployment')
  const last = now.attempts.at(-1)
  if (now.status === 'succeeded' && last?.deployment === SPARE.deployment)
    count(exercised, 'served by the spare deployment')
  if (now.status !== 'running' && last?.httpStatus === 500 && last.outcome === 'unknown')
    count(exercised, "a server error of the job's own")
  if (now.error?.code === 'timeout') count(exercised, 'ended by its timeouts')
  if (now.error?.kind === 'budget') count(exercised, 'token limit reached')
}

function isOverSwept(now: SeenRecord, was: SeenRecord): boolean {
  return now.status === 'succeeded' && was.status === 'waiting' && was.attempts.at(-1)?.owner === now.owner
}

function summaryOf({ status, run, owner, attempts }: SeenRecord): string {
  return `${status} (run ${run}, ${owner}, ${attempts.length} attempts)`
}
