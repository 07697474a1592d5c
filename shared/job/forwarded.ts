import { type ClaimDecision, decideClaim, type Found, giveUpTime } from './claim.ts'
import type { RetryPolicy } from './failures.ts'
import type { Job } from './job.ts'
import type { EndError, RecordError, RunningRecord, SettledRecord, WaitingRecord } from './record.ts'

/** Times are epoch milliseconds. */
export interface ForwardingRules {
  readonly now: number
  /** Of the job's very first message: a rescue is another one. */
  readonly firstPublishedAt: number
  readonly maxAgeMs: number
  readonly policy: RetryPolicy
}

export type ForwardedFate =
  /** Its time is over, and somebody holds it, who may settle it or die: it is looked at again later. */
  | { readonly kind: 'wait' }
  /** The job is healthy: it only exceeded the delivery attempts. It is published again. */
  | { readonly kind: 'rescue' }
  /**
   * The job ends for this reason. `unsettled`: its record, if it waits and no claim holds it. `ended`: its record, if that is
   * settled with this reason.
   */
  | {
      readonly kind: 'record'
      readonly error: RecordError
      readonly unsettled?: Unsettled
      readonly ended?: SettledRecord
    }
  /** It has ended as this record says, or a later run has taken its place: there is nothing to keep. */
  | { readonly kind: 'nothing'; readonly ended?: SettledRecord }

type Unsettled = RunningRecord | WaitingRecord

const RESCUE: ForwardedFate = { kind: 'rescue' }
const WAIT: ForwardedFate = { kind: 'wait' }
const NOTHING: ForwardedFate = { kind: 'nothing' }

/**
 * Decides about a job that Pub/Sub gave up on, which happens by count alone: a night without Entra is reason enough.
 *
 * What its record says is judged by the rule that judges every delivery. The record of a job whose time is over is to be
 * settled if it waits, or if its lease is over: no delivery touches it any more. One under a live lease is waited for.
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

/** Why a job failed, as far as its record shows it; undefined where the record does not. */
export function findFailure(job: Job, found: Found, policy: RetryPolicy): RecordError | undefined {
  return shownFailure(job, judge(job, found, policy))?.error
}

/** It claims nothing, so no record is its own. */
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
