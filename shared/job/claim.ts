import { runSoFar } from './attempts.ts'
import { afterFailure, type RetryPolicy } from './failures.ts'
import {
  isSettled,
  type JobRecord,
  type RunningRecord,
  type SettledRecord,
  type Wait,
  type WaitingRecord,
} from './record.ts'

/** A record as it was read, and the time since its last change by the store's clock. */
export interface Found {
  readonly record: JobRecord
  readonly ageMs: number
}

/** The claim of a delivery on an existing record. */
export interface Wanted {
  /** The name of the deployment that the job was admitted to, if it is to be asked. */
  readonly deployment?: string | undefined
  readonly run: number
  readonly payloadHash: string
  readonly owner: string
}

export type ClaimDecision =
  /** The record already holds this claim. The reply to its write was lost. */
  | { readonly kind: 'mine'; readonly record: RunningRecord }
  /** Start the next attempt, fenced by the revision that was read. `wait`: for other deployments, and not over. */
  | { readonly kind: 'next_attempt'; readonly waiting: WaitingRecord; readonly wait?: Wait }
  /** Start the next run of a settled job, fenced by the revision that was read. */
  | { readonly kind: 'next_run' }
  /** The instance of the last attempt died during it. Mark the attempt unknown, then start the next. */
  | { readonly kind: 'take_over'; readonly dead: RunningRecord }
  /** The instance of the last attempt died, and the job has no attempt left. */
  | { readonly kind: 'give_up'; readonly dead: RunningRecord; readonly reason: 'unknown' | 'max_attempts' }
  /** The job is settled. Repeat the steps that follow the settle. */
  | { readonly kind: 'settled'; readonly record: SettledRecord }
  | { readonly kind: 'busy'; readonly retryInMs: number }
  /** Its next attempt may not start yet: the provider asked to wait, or could not serve the last one. */
  | { readonly kind: 'waits'; readonly waiting: WaitingRecord; readonly retryInMs: number }
  /** Another payload took this id and run. */
  | { readonly kind: 'conflict' }
  /** A later run has begun. This message is obsolete. */
  | { readonly kind: 'superseded' }
  /** It claims a run that no replay can have reached. */
  | { readonly kind: 'impossible_run' }

/** The retry delay if the holder of the job gives no time. */
const LOOK_AGAIN_MS = 1_000

/**
 * Decides what one delivery may do with a job that already has a record.
 *
 * Delivery is at least once, so a second one can meet a settled job, a live attempt, an attempt whose instance died,
 * an attempt that ended and waits for the next, or a replay of the job.
 */
export function decideClaim({ record, ageMs }: Found, wanted: Wanted, policy: RetryPolicy): ClaimDecision {
  if (record.status === 'running' && record.owner === wanted.owner) return { kind: 'mine', record }
  if (wanted.run < record.run) return isSettled(record) ? { kind: 'settled', record } : { kind: 'superseded' }
  if (wanted.run > record.run) return decideLaterRun(record, wanted.run)
  // A job that was cancelled before its first claim has none.
  if (wanted.payloadHash !== (record.payloadHash ?? wanted.payloadHash)) return { kind: 'conflict' }
  if (isSettled(record)) return { kind: 'settled', record }
  if (record.status === 'waiting') return decideWait(record, ageMs, wanted.deployment)
  if (!isLeaseOver(record, ageMs)) return { kind: 'busy', retryInMs: record.leaseMs - ageMs }
  return decideDead(record, policy)
}

/** Uses the store's clock only. The clocks of instances are not compared. */
function decideWait(waiting: WaitingRecord, ageMs: number, deployment: string | undefined): ClaimDecision {
  const { waitMs = 0, waitsFor } = waiting
  const retryInMs = waitMs - ageMs
  const isForOthers = deployment !== undefined && waitsFor !== undefined && !waitsFor.includes(deployment)
  if (retryInMs > 0 && isForOthers) return { kind: 'next_attempt', waiting, wait: { waitMs: retryInMs, waitsFor } }
  return retryInMs > 0 ? { kind: 'waits', waiting, retryInMs } : { kind: 'next_attempt', waiting }
}

type DeadDecision = Extract<ClaimDecision, { kind: 'take_over' | 'give_up' }>

const INSTANCE_DIED = { kind: 'ambiguous', message: 'the instance that asked the model ended' } as const

/** An attempt whose instance died counts as unknown: it may have been billed. */
function decideDead(dead: RunningRecord, policy: RetryPolicy): DeadDecision {
  const consequence = afterFailure(INSTANCE_DIED, runSoFar(dead), policy, 0)
  if (consequence.next === 'again') return { kind: 'take_over', dead }
  return { kind: 'give_up', dead, reason: consequence.reason === 'unknown' ? 'unknown' : 'max_attempts' }
}

function decideLaterRun(record: JobRecord, wantedRun: number): ClaimDecision {
  if (!isSettled(record)) return { kind: 'busy', retryInMs: LOOK_AGAIN_MS }
  if (record.status === 'succeeded') return { kind: 'settled', record }
  return wantedRun === record.run + 1 ? { kind: 'next_run' } : { kind: 'impossible_run' }
}

/** A lease is over at the exact millisecond it ends. */
function isLeaseOver(record: RunningRecord, ageMs: number): boolean {
  return ageMs >= record.leaseMs
}

/** The longest time of a request plus a quarter, so that a live attempt is never taken over. Milliseconds. */
export function leaseFor(askBudgetMs: number): number {
  return Math.max(0, Math.ceil(askBudgetMs * 1.25))
}

/** The owner that the sweep writes. It is not a claim. */
export const SWEEP = 'sweep'

export type RefusedWrite =
  /** The write had been applied and its reply was lost. */
  | 'applied'
  /** Still this claim's record: write again over the revision that was read. */
  | 'again'
  /** Other claims began and ended without a counted attempt. Only an end may be written, and it keeps their counts. */
  | 'settle_only'
  /** Another claim holds the record. The result of this claim is not written. */
  | 'not_ours'

/**
 * Decides what to do when the store refused a claim's closing write because the record had changed.
 *
 * This claim may still settle a waiting record if no other counted attempt has begun. Its result was billed, and the next
 * attempt would be billed again.
 */
export function decideRefusedWrite(found: JobRecord | undefined, { owner, run }: RunningRecord): RefusedWrite {
  if (found === undefined) return 'not_ours'
  if (found.owner === owner) return found.status === 'running' ? 'again' : 'applied'
  const isLastAttempt = found.run === run && found.attempts.at(-1)?.owner === owner
  if (found.status !== 'waiting' || !isLastAttempt) return 'not_ours'
  return found.owner === SWEEP ? 'again' : 'settle_only'
}

export type CancelDecision =
  /** Settle it as cancelled, fenced by the revision that was read. */
  | { readonly kind: 'cancel'; readonly record: RunningRecord | WaitingRecord }
  | { readonly kind: 'settled'; readonly record: SettledRecord }
  /** Its instance may be waiting for an answer that is billed. */
  | { readonly kind: 'running'; readonly leaseLeftMs: number }

/** Decides what a cancel does to a job that has a record. A claim that holds the job keeps it. */
export function decideCancel({ record, ageMs }: Found): CancelDecision {
  if (isSettled(record)) return { kind: 'settled', record }
  if (record.status === 'waiting' || isLeaseOver(record, ageMs)) return { kind: 'cancel', record }
  return { kind: 'running', leaseLeftMs: record.leaseMs - ageMs }
}

/** How long the sweep waits for a redelivery after a lease has ended. */
const SWEEP_GRACE_MS = 60_000

/** Returns when a job is too old to be retried. `since`: its publish time, or the start of its run. Epoch milliseconds. */
export function giveUpTime(since: number, maxAgeMs: number): number {
  return since + maxAgeMs
}

/** Returns when the sweep may change a record, in epoch milliseconds by the clock of its writer; undefined: never. */
export function sweepAt(record: JobRecord): number | undefined {
  if (record.status === 'waiting') return earlier(record.deadline, record.giveUpAt)
  if (record.status !== 'running') return undefined
  const { startedAt } = record.attempts.findLast(({ owner }) => owner === record.owner) ?? {
    startedAt: record.createdAt,
  }
  return startedAt + record.leaseMs + SWEEP_GRACE_MS
}

function earlier(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b)
}

export type SweepDecision =
  /** Its deadline passed while it waited. */
  | { readonly kind: 'expire'; readonly waiting: WaitingRecord }
  /** No message of it was delivered while it waited, and it became too old. */
  | { readonly kind: 'too_old'; readonly waiting: WaitingRecord }
  | DeadDecision
  | { readonly kind: 'leave' }

/** Decides what the sweep does with a record. It does not change a healthy record. `now`: epoch milliseconds. */
export function decideSweep({ record, ageMs }: Found, now: number, policy: RetryPolicy): SweepDecision {
  if (record.status === 'waiting') return decideWaiting(record, now)
  const isStuck = record.status === 'running' && ageMs >= record.leaseMs + SWEEP_GRACE_MS
  return isStuck ? decideDead(record, policy) : { kind: 'leave' }
}

function decideWaiting(waiting: WaitingRecord, now: number): SweepDecision {
  if (waiting.deadline !== undefined && now > waiting.deadline) return { kind: 'expire', waiting }
  if (waiting.giveUpAt !== undefined && now >= waiting.giveUpAt) return { kind: 'too_old', waiting }
  return { kind: 'leave' }
}
