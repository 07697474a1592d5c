import type {
  Attempt,
  JobRecord,
  RecordError,
  RunningRecord,
  SettledRecord,
  StoredResult,
  WaitingRecord,
} from '../job/record.ts'
import type { ClaimRequest, Ending, Release } from './job-store.ts'

/** The record of a job that nobody has claimed before. */
export function firstRecord({ job, owner, leaseMs, now }: ClaimRequest): RunningRecord {
  const { key, id, batch, url, model, metadata, run, payloadHash } = job
  return {
    ...{ key, id, batch, url, model, metadata, run, payloadHash },
    ...{ status: 'running', owner, leaseMs, createdAt: now, uncounted: {} },
    attempts: [{ run, n: 1, owner, startedAt: now }],
  }
}

/** The next attempt of the run that stands. */
export function nextAttempt(found: JobRecord, { owner, leaseMs, now }: ClaimRequest): RunningRecord {
  const n = found.attempts.filter((attempt) => attempt.run === found.run).length + 1
  const attempts = [...found.attempts, { run: found.run, n, owner, startedAt: now }]
  return { ...lasting(found), status: 'running', owner, leaseMs, attempts }
}

/** The first attempt of the next run: what came before is kept, and counts no more. */
export function nextRun(found: JobRecord, request: ClaimRequest): RunningRecord {
  const { run, payloadHash, url, model, metadata } = request.job
  return nextAttempt({ ...found, run, payloadHash, url, model, metadata }, request)
}

/** An attempt whose instance died: it may have been sent, and billed. */
export function withDeadAttempt(dead: RunningRecord, now: number): RunningRecord {
  return { ...dead, attempts: withEnd(dead, { endedAt: now, outcome: 'unknown' }) }
}

/** An attempt that ended and is to be followed by another. */
export function released(record: RunningRecord, release: Release, now: number): WaitingRecord {
  const waiting = { ...lasting(record), status: 'waiting', owner: record.owner } as const
  if (release.counts) {
    const { outcome, report } = release
    return { ...waiting, attempts: withEnd(record, { ...report, endedAt: now, outcome }) }
  }
  const { kind } = release
  const uncounted = { ...record.uncounted, [kind]: (record.uncounted[kind] ?? 0) + 1 }
  return { ...waiting, attempts: withoutCurrent(record), uncounted }
}

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
  const { status, usage, finishReason, report } = ending
  const attempts = withEnd(record, { ...report, usage, endedAt: now, outcome: 'succeeded' })
  const { owner } = record
  return { ...lasting(record), status, owner, attempts, result, usage, finishReason, settledAt: now, expireAt }
}

export function ended(
  record: RunningRecord,
  ending: Exclude<Ending, { status: 'succeeded' }>,
  { now, expireAt }: Settlement,
): SettledRecord {
  const { status, error } = ending
  const attempts =
    ending.status === 'dead_lettered' && ending.attempt !== undefined
      ? withEnd(record, { ...ending.attempt.report, endedAt: now, outcome: ending.attempt.outcome })
      : withoutCurrent(record)
  return { ...lasting(record), status, error, owner: record.owner, attempts, settledAt: now, expireAt }
}

/**
 * A job whose last attempt died with its instance, and that has no attempt left.
 *
 * It is settled in the name of the claim that found it: the dead attempt, should it wake, must not take this for its
 * own settle.
 */
export function givenUp(
  dead: RunningRecord,
  owner: string,
  reason: 'unknown' | 'max_attempts',
  { now, expireAt }: Settlement,
): SettledRecord {
  const error: RecordError = {
    kind: reason,
    message: 'the instance that asked the model ended before it could say what came of it',
    hint: 'Azure may have billed this attempt. Replay the job to run it again.',
  }
  const { attempts } = withDeadAttempt(dead, now)
  return { ...lasting(dead), status: 'dead_lettered', error, owner, attempts, settledAt: now, expireAt }
}

/** What a record keeps whatever its status. */
function lasting(record: JobRecord) {
  const { key, id, batch, url, model, metadata, run, payloadHash, attempts, uncounted, createdAt } = record
  return { key, id, batch, url, model, metadata, run, payloadHash, attempts, uncounted, createdAt }
}

function withEnd(record: RunningRecord, end: Partial<Attempt>): Attempt[] {
  return record.attempts.map((attempt) => (attempt.owner === record.owner ? { ...attempt, ...end } : attempt))
}

function withoutCurrent(record: RunningRecord): Attempt[] {
  return record.attempts.filter((attempt) => attempt.owner !== record.owner)
}
