import { FOLDED_KIND, foldedIn, waitLeft } from './attempts.ts'
import { giveUpTime, SWEEP } from './claim.ts'
import type { ClaimRequest, Ending, Release } from './ending.ts'
import type { FailureKind } from './failures.ts'
import type { Job } from './job.ts'
import type {
  Attempt,
  CancelledRecord,
  EndError,
  FoldedAttempts,
  JobRecord,
  RecordError,
  RunningRecord,
  SettledRecord,
  StoredResult,
  SucceededRecord,
  Wait,
  WaitingRecord,
} from './record.ts'

/** Creates the record of a job at its first claim. */
export function firstRecord({ job, owner, leaseMs, maxAgeMs, now }: ClaimRequest): RunningRecord {
  const { key, id, batch, url, model, metadata, run, payloadHash, deadline } = job
  return {
    ...{ key, id, batch, url, model, metadata, run, payloadHash },
    ...(deadline === undefined ? {} : { deadline }),
    ...{ status: 'running', owner, leaseMs, createdAt: now, uncounted: {}, giveUpAt: giveUpTime(now, maxAgeMs) },
    attempts: [{ run, n: 1, owner, startedAt: now }],
  }
}

/** Starts the next attempt of the current run. `wait`: what is left of a wait for some deployments. */
export function nextAttempt(found: SeenRecord, { owner, leaseMs, now }: ClaimRequest, wait?: Wait): RunningRecord {
  const kept = found.attempts.filter((attempt) => attempt.run === found.run).length
  // Each send that may have been billed has a separate number, because request ids contain it.
  const n = kept + foldedIn(found, found.run) + 1
  const attempts = [...found.attempts, { run: found.run, n, owner, startedAt: now }]
  return { ...lasting(found), status: 'running', owner, leaseMs, attempts, ...wait }
}

/** Starts the first attempt of the next run. Earlier attempts are kept and do not count. */
export function nextRun(found: JobRecord, request: ClaimRequest): RunningRecord {
  const { run, payloadHash, url, model, metadata, deadline } = request.job
  const giveUpAt = giveUpTime(request.now, request.maxAgeMs)
  return nextAttempt({ ...found, run, payloadHash, url, model, metadata, deadline, giveUpAt }, request)
}

/** An attempt whose instance died. It may have been sent and billed. */
export function withDeadAttempt(dead: RunningRecord, now: number): RunningRecord {
  return { ...dead, attempts: withEnd(dead, { endedAt: now, outcome: 'unknown' }) }
}

/** An attempt that ended and that another one follows. */
export function released(record: RunningRecord, release: Release, now: number): WaitingRecord {
  const { waitMs = 0, waitsFor } = release
  const wait = waitMs > 0 ? { waitMs, ...(waitsFor && { waitsFor }) } : waitLeft(record, now)
  const waiting = { ...lasting(record), ...wait, status: 'waiting', owner: record.owner } as const
  switch (release.marks) {
    case 'attempt': {
      const { outcome, report } = release
      return { ...waiting, attempts: withEnd(record, { ...report, endedAt: now, outcome }) }
    }
    case 'folded':
      return {
        ...waiting,
        attempts: withoutCurrent(record),
        folded: withOneMore(record, now),
        uncounted: counted(record, FOLDED_KIND),
      }
    case 'none':
      return { ...waiting, attempts: withoutCurrent(record), uncounted: counted(record, release.kind) }
  }
}

function counted({ uncounted }: RunningRecord, kind: FailureKind) {
  return { ...uncounted, [kind]: (uncounted[kind] ?? 0) + 1 }
}

/** The failed attempts of a provider outage share one entry, so that the record stays small. */
function withOneMore({ folded = [], run }: RunningRecord, now: number): FoldedAttempts[] {
  const { n, firstAt } = folded.find((entry) => entry.run === run) ?? { n: 0, firstAt: now }
  return [...folded.filter((entry) => entry.run !== run), { run, n: n + 1, firstAt, lastAt: now }]
}

/** Returns the record with the attempts that another record counts without separate entries. */
export function withCountsOf({ uncounted, folded }: JobRecord, record: JobRecord): JobRecord {
  return { ...record, uncounted, ...(folded && { folded }) }
}

export type JobName = Pick<JobRecord, 'key' | 'id' | 'batch'>
export type LinkedJob = Omit<Job, 'body'>

export interface Settlement {
  readonly now: number
  readonly expireAt: number
}

export function succeeded(
  record: RunningRecord,
  ending: Extract<Ending, { status: 'succeeded' }>,
  result: StoredResult,
  { now, expireAt }: Settlement,
): SettledRecord {
  const { status, usage, usageKnown, finishReason, report } = ending
  const used = { usage, ...(usageKnown === false && { usageKnown }) }
  const attempts = withEnd(record, { ...report, ...used, endedAt: now, outcome: 'succeeded' })
  const { owner } = record
  return { ...lasting(record), status, owner, attempts, result, ...used, finishReason, settledAt: now, expireAt }
}

/**
 * The record of a job that gets the answer of an earlier job, which asked for the same. Undefined if the earlier one has none
 * that may be used.
 *
 * Nothing is asked, so there is no attempt and no usage. An answer of which the time is over is not kept longer by it.
 */
export function linked(job: LinkedJob, earlier: JobRecord, { now, expireAt }: Settlement): SucceededRecord | undefined {
  if (earlier.status !== 'succeeded' || earlier.result.in === 'elsewhere' || earlier.expireAt <= now) return undefined
  const { key, id, batch, run, url, model, metadata, payloadHash, deadline } = job
  if (earlier.payloadHash !== payloadHash || earlier.url !== url) return undefined
  const { status, owner, result, finishReason, linkedFrom = earlier.batch } = earlier
  return {
    ...{ key, id, batch, url, model, metadata, run, payloadHash },
    ...(deadline === undefined ? {} : { deadline }),
    ...{ status, owner, result, finishReason, linkedFrom, attempts: [], uncounted: {} },
    usage: { promptTokens: 0, completionTokens: 0 },
    ...{ createdAt: now, settledAt: now, expireAt },
  }
}

export function ended(
  record: RunningRecord,
  ending: Exclude<Ending, { status: 'succeeded' }>,
  { now, expireAt }: Settlement,
): SettledRecord {
  const { status, error } = ending
  const attempts =
    ending.status !== 'expired' && ending.attempt !== undefined
      ? withEnd(record, { ...ending.attempt.report, endedAt: now, outcome: ending.attempt.outcome })
      : withoutCurrent(record)
  return { ...lasting(record), status, error, owner: record.owner, attempts, settledAt: now, expireAt }
}

/**
 * A job whose last attempt died with its instance, and that has no attempt left.
 *
 * The owner is the claim that found it. If the instance of the attempt resumes, it must not read this write as its own
 * settle.
 */
export function givenUp(
  dead: RunningRecord,
  owner: string,
  reason: 'unknown' | 'max_attempts',
  { now, expireAt }: Settlement,
): SettledRecord {
  const error: EndError = {
    kind: reason,
    message: 'the instance that asked the model ended before it could say what came of it',
    hint: 'The provider may have billed this attempt. Replay the job to run it again.',
  }
  const { attempts } = withDeadAttempt(dead, now)
  return { ...lasting(dead), status: 'dead_lettered', error, owner, attempts, settledAt: now, expireAt }
}

/** The owner of a cancel's write, so that no resumed attempt mistakes the write for its own. */
const CANCEL = 'cancel'

/** The record of a job that is cancelled before anybody has claimed it. */
export function cancelledUnseen({ key, id, batch }: JobName, { now, expireAt }: Settlement): CancelledRecord {
  const error = { kind: 'cancelled', message: 'it was cancelled before it was started' } as const
  return {
    ...{ key, id, batch, run: 1, metadata: {}, attempts: [], uncounted: {}, createdAt: now },
    ...{ status: 'cancelled', owner: CANCEL, error, settledAt: now, expireAt },
  }
}

/** Cancels a job that no claim holds. An attempt whose instance died becomes `unknown`. */
export function cancelled(record: RunningRecord | WaitingRecord, { now, expireAt }: Settlement): CancelledRecord {
  const { attempts } = record.status === 'running' ? withDeadAttempt(record, now) : record
  const error = { kind: 'cancelled', message: 'it was cancelled between two attempts' } as const
  return { ...lasting(record), status: 'cancelled', owner: CANCEL, attempts, error, settledAt: now, expireAt }
}

/** A job whose deadline passed while it waited for its next attempt. */
export function expired(waiting: WaitingRecord, at: Settlement): SettledRecord {
  return timeOver(waiting, { kind: 'expired', message: 'its deadline passed before its next attempt' }, at)
}

/** A job that became too old while it waited for its next attempt. Its message may be lost. */
export function agedOut(waiting: WaitingRecord, at: Settlement): SettledRecord {
  const message = 'it waited for its next attempt until it was older than MAX_JOB_AGE_DAYS'
  const hint =
    'See why jobs were deferred, fix it, then replay the job. If no dead letter of it is kept, its message is gone: submit it in another batch.'
  return timeOver(waiting, { kind: 'max_age', message, hint }, at)
}

/** Ends a job whose time is over and that no claim holds. An attempt whose instance died becomes `unknown`. */
export function timeOver(
  record: RunningRecord | WaitingRecord,
  error: RecordError,
  { now, expireAt }: Settlement,
): SettledRecord {
  const { attempts } = record.status === 'running' ? withDeadAttempt(record, now) : record
  return { ...lasting(record), status: overAs(error), owner: SWEEP, attempts, error, settledAt: now, expireAt }
}

/** A job whose time was over before its first claim. */
export function timeOverUnseen(job: Job, error: RecordError, { now, expireAt }: Settlement): SettledRecord {
  const seen = { ...job, attempts: [], uncounted: {}, createdAt: now }
  return { ...lasting(seen), status: overAs(error), owner: SWEEP, error, settledAt: now, expireAt }
}

function overAs({ kind }: RecordError): 'expired' | 'dead_lettered' {
  return kind === 'expired' ? 'expired' : 'dead_lettered'
}

/** A job whose attempt died. It waits for a redelivery, which starts the next attempt. */
export function requeued(dead: RunningRecord, now: number): WaitingRecord {
  return { ...lasting(withDeadAttempt(dead, now)), status: 'waiting', owner: SWEEP }
}

/** A job whose last attempt died, settled although no delivery found it. */
export function endedBySweep(dead: RunningRecord, reason: 'unknown' | 'max_attempts', at: Settlement): SettledRecord {
  return givenUp(dead, SWEEP, reason, at)
}

/** For a job that was claimed at least once. */
type SeenRecord = JobRecord & Pick<RunningRecord, 'url' | 'payloadHash'>
type Lasting = Omit<RunningRecord, 'status' | 'owner' | 'leaseMs'>

/** The fields that a record of any status keeps. */
function lasting(record: Lasting) {
  const { key, id, batch, url, model, metadata, run, payloadHash, attempts, uncounted, createdAt } = record
  const { deadline, giveUpAt, folded } = record
  return {
    ...{ key, id, batch, url, model, metadata, run, payloadHash, attempts, uncounted, createdAt },
    ...(deadline === undefined ? {} : { deadline }),
    ...(giveUpAt === undefined ? {} : { giveUpAt }),
    ...(folded === undefined ? {} : { folded }),
  }
}

function withEnd(record: RunningRecord, end: Partial<Attempt>): Attempt[] {
  return record.attempts.map((attempt) => (attempt.owner === record.owner ? { ...attempt, ...end } : attempt))
}

function withoutCurrent(record: RunningRecord): Attempt[] {
  return record.attempts.filter((attempt) => attempt.owner !== record.owner)
}
