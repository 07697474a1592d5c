import { type ClaimDecision, decideClaim, type Found, giveUpTime } from './claim.ts'
import type { RetryPolicy } from './failures.ts'
import type { Job } from './job.ts'
import type { EndError, RecordError, RunningRecord, SettledRecord, WaitingRecord } from './record.ts'

/** Times are epoch milliseconds. */
export interface ForwardingRules {
  readonly now: number
  /** The publish time of the job's first message. A rescue publishes a new message. */
  readonly firstPublishedAt: number
  readonly maxAgeMs: number
  readonly policy: RetryPolicy
}

export type ForwardedFate =
  /** Its time is over, but a claim holds it. The job is checked again later. */
  | { readonly kind: 'wait' }
  /** The job only exceeded the delivery attempts. It is published again. */
  | { readonly kind: 'rescue' }
  /**
   * The job ends for this reason. `unsettled`: its record, if the job waits and no claim holds it. `ended`: its record, if
   * it is settled with this reason.
   */
  | {
      readonly kind: 'record'
      readonly error: RecordError
      readonly unsettled?: Unsettled
      readonly ended?: SettledRecord
    }
  /** The record is settled, or a later run replaced this one. Nothing is kept. */
  | { readonly kind: 'nothing'; readonly ended?: SettledRecord }

type Unsettled = RunningRecord | WaitingRecord

const RESCUE: ForwardedFate = { kind: 'rescue' }
const WAIT: ForwardedFate = { kind: 'wait' }
const NOTHING: ForwardedFate = { kind: 'nothing' }

/**
 * Decides about a job that Pub/Sub forwarded to the dead-letter topic. Pub/Sub only counts attempts, so an outage of Entra
 * can forward healthy jobs.
 *
 * The record is judged by the same rule as for a delivery. If the job's time is over, its record is settled when it waits
 * or when its lease is over, because no delivery will settle it. A live lease is left until it ends.
 */
export function decideForwarded(job: Job, found: Found | undefined, rules: ForwardingRules): ForwardedFate {
  if (found === undefined) return decideHealthy(job, rules)
  const decision = judge(job, found, rules.policy)
  const failed = shownFailure(job, decision)
  // The letter may have been lost between the settle and its publish.
  if (failed !== undefined) return failed
  switch (decision.kind) {
    case 'settled':
      return { kind: 'nothing', ended: decision.record }
    case 'superseded':
      return NOTHING
    case 'waits':
    case 'next_attempt':
      return decideHealthy(job, rules, decision.waiting)
    case 'take_over':
    case 'give_up':
      return decideHealthy(job, rules, decision.dead)
    case 'busy': {
      const fate = decideHealthy(job, rules)
      return fate.kind === 'record' && found.record.run === job.run ? WAIT : fate
    }
    default:
      return decideHealthy(job, rules)
  }
}

/** Why a job failed according to its record, or undefined if the record does not show it. */
export function findFailure(job: Job, found: Found, policy: RetryPolicy): RecordError | undefined {
  return shownFailure(job, judge(job, found, policy))?.error
}

/** It claims no record. */
function judge({ run, payloadHash }: Job, found: Found, policy: RetryPolicy): ClaimDecision {
  return decideClaim(found, { run, payloadHash, owner: '' }, policy)
}

function shownFailure(job: Job, decision: ClaimDecision): Extract<ForwardedFate, { kind: 'record' }> | undefined {
  switch (decision.kind) {
    case 'settled': {
      const { record: ended } = decision
      const hasFailed = ended.status === 'dead_lettered' || ended.status === 'expired'
      return hasFailed && ended.run === job.run ? { kind: 'record', error: ended.error, ended } : undefined
    }
    case 'conflict':
      return recorded('conflict', 'another payload took this id and run')
    case 'impossible_run':
      return recorded('invalid', 'pb-run names a run that no replay can have reached')
    default:
      return undefined
  }
}

function decideHealthy(job: Job, rules: ForwardingRules, unsettled?: Unsettled): ForwardedFate {
  const over = timeOver(job, rules)
  if (over === undefined) return RESCUE
  return unsettled === undefined ? over : { ...over, unsettled }
}

function timeOver(job: Job, { now, firstPublishedAt, maxAgeMs }: ForwardingRules) {
  if (job.deadline !== undefined && now > job.deadline) {
    return recorded('expired', 'its deadline passed before it was started')
  }
  if (now >= giveUpTime(firstPublishedAt, maxAgeMs)) {
    const hint = 'See why jobs were deferred, fix it, then replay the job.'
    return recorded('max_age', 'it was deferred again and again until it was older than MAX_JOB_AGE_DAYS', hint)
  }
  return undefined
}

function recorded(kind: EndError['kind'], message: string, hint?: string) {
  return { kind: 'record', error: { kind, message, ...(hint === undefined ? {} : { hint }) } } as const
}
