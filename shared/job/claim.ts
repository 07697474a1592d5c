import { afterFailure, type RetryPolicy } from './failures.ts'
import {
  isSettled,
  type JobRecord,
  type RunningRecord,
  runSoFar,
  type SettledRecord,
  type WaitingRecord,
} from './record.ts'

/** A record as it was read, and how long ago it last changed by the store's own clock. */
export interface Found {
  readonly record: JobRecord
  readonly ageMs: number
}

/** What a delivery asks of a record that stands already. */
export interface Wanted {
  readonly run: number
  readonly payloadHash: string
  readonly owner: string
}

export type ClaimDecision =
  /** The record is this very claim: the reply to its write was lost. */
  | { readonly kind: 'mine'; readonly record: RunningRecord }
  /** Start the next attempt, fenced by the revision that was read. */
  | { readonly kind: 'next_attempt'; readonly waiting: WaitingRecord }
  /** Start the next run of a settled job, fenced likewise. */
  | { readonly kind: 'next_run' }
  /** The last attempt's instance died in the middle: mark it unknown, then start the next. */
  | { readonly kind: 'take_over'; readonly dead: RunningRecord }
  /** The same, but it was the last attempt the job had. */
  | { readonly kind: 'give_up'; readonly dead: RunningRecord; readonly reason: 'unknown' | 'max_attempts' }
  /** Settled: repeat what follows the settle. */
  | { readonly kind: 'settled'; readonly record: SettledRecord }
  | { readonly kind: 'busy'; readonly retryInMs: number }
  /** Its next attempt may not start yet: the provider asked to wait, or could not serve the last one. */
  | { readonly kind: 'waits'; readonly waiting: WaitingRecord; readonly retryInMs: number }
  /** Another payload took this id and run. */
  | { readonly kind: 'conflict' }
  /** A later run has begun: this message is history. */
  | { readonly kind: 'superseded' }
  /** It claims a run that no replay can have reached. */
  | { readonly kind: 'impossible_run' }

/** How soon to look again at a job whose holder gives no time. */
const LOOK_AGAIN_MS = 1_000

/**
 * Decides what one delivery may do with a job whose record is there already.
 *
 * Delivery is at least once, so a second one can meet a settled job, a live attempt, an attempt whose instance died,
 * an attempt that ended and waits for the next, or a replay of the job.
 */
export function decideClaim({ record, ageMs }: Found, wanted: Wanted, policy: RetryPolicy): ClaimDecision {
  if (record.status === 'running' && record.owner === wanted.owner) return { kind: 'mine', record }
  if (wanted.run < record.run) return isSettled(record) ? { kind: 'settled', record } : { kind: 'superseded' }
  if (wanted.run > record.run) return decideLaterRun(record, wanted.run)
  // A job that was cancelled before anybody had seen it has none.
  if (wanted.payloadHash !== (record.payloadHash ?? wanted.payloadHash)) return { kind: 'conflict' }
  if (isSettled(record)) return { kind: 'settled', record }
  if (record.status === 'waiting') return decideWait(record, ageMs)
  if (!isLeaseOver(record, ageMs)) return { kind: 'busy', retryInMs: record.leaseMs - ageMs }
  return decideDead(record, policy)
}

/** By the store's clock alone: the clocks of those who deliver are not compared. */
function decideWait(waiting: WaitingRecord, ageMs: number): ClaimDecision {
  const retryInMs = (waiting.waitMs ?? 0) - ageMs
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

/** A lease is over at the very millisecond it ends. */
function isLeaseOver(record: RunningRecord, ageMs: number): boolean {
  return ageMs >= record.leaseMs
}

/** A quarter more than the ask may take, so that a live attempt is never taken over. Milliseconds. */
export function leaseFor(askBudgetMs: number): number {
  return Math.max(0, Math.ceil(askBudgetMs * 1.25))
}

/** Stands as the owner of what the sweep wrote: it claims nothing. */
export const SWEEP = 'sweep'

export type RefusedWrite =
  /** The write had been applied and its reply was lost. */
  | 'applied'
  /** Still this claim's record: write again over the revision that was read. */
  | 'again'
  /** Other claims have come and gone without an attempt of their own: only an end may be written, with what they counted. */
  | 'settle_only'
  /** Somebody else's by now: what this claim brings is not to be written. */
  | 'not_ours'

/**
 * Decides what to do when the store refused a claim's closing write because the record had changed.
 *
 * A record that waits is still ours while no other attempt has begun that counts: what this claim brings was paid for, and
 * the next attempt would be paid for again.
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
  /** Its instance may be asking the model now, and the answer is paid for. */
  | { readonly kind: 'running'; readonly leaseLeftMs: number }

/** Decides what a cancel does to a job that has a record. A claim that holds the job keeps it. */
export function decideCancel({ record, ageMs }: Found): CancelDecision {
  if (isSettled(record)) return { kind: 'settled', record }
  if (record.status === 'waiting' || isLeaseOver(record, ageMs)) return { kind: 'cancel', record }
  return { kind: 'running', leaseLeftMs: record.leaseMs - ageMs }
}

/** The sweep leaves an attempt whose lease is over to its redelivery for so long. */
const SWEEP_GRACE_MS = 60_000

/** When a job is too old to be tried again, given when it was published or its run begun. Epoch milliseconds. */
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
  /** No message of it came while it waited, until it was too old. */
  | { readonly kind: 'too_old'; readonly waiting: WaitingRecord }
  | DeadDecision
  | { readonly kind: 'leave' }

/** Decides what the sweep does with a record; what is healthy it leaves alone. `now`: epoch milliseconds. */
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
