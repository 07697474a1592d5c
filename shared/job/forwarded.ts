import { decideClaim, type Found } from './claim.ts'
import type { RetryPolicy } from './failures.ts'
import type { Job } from './job.ts'
import type { RecordError } from './record.ts'

/** Times are epoch milliseconds. */
export interface ForwardingRules {
  readonly now: number
  /** Of the job's very first message: a rescue is another one. */
  readonly firstPublishedAt: number
  readonly maxAgeMs: number
  readonly policy: RetryPolicy
}

export type ForwardedFate =
  /** Healthy: it only came too often. It is published again. */
  | { readonly kind: 'rescue' }
  /** It is taken no further, for this reason. */
  | { readonly kind: 'record'; readonly error: RecordError }
  /** It has ended, or a later run has taken its place: nothing is to be done. */
  | { readonly kind: 'nothing' }

const RESCUE: ForwardedFate = { kind: 'rescue' }
const NOTHING: ForwardedFate = { kind: 'nothing' }

/**
 * Decides about a job that Pub/Sub gave up on, which happens by count alone: a night without Entra is reason enough.
 *
 * What its record says is judged by the rule that judges every delivery. A job that is too old is recorded only; a
 * record of it that waits, or whose lease is over, is left as it is: no delivery touches it any more, and the sweep
 * settles what is past its time.
 */
export function decideForwarded(job: Job, found: Found | undefined, rules: ForwardingRules): ForwardedFate {
  if (found === undefined) return decideHealthy(job, rules)
  // It claims nothing, so no record is its own.
  const wanted = { run: job.run, payloadHash: job.payloadHash, owner: '' }
  const decision = decideClaim(found, wanted, rules.policy)
  switch (decision.kind) {
    case 'settled': {
      const { record } = decision
      // The letter may have been lost between the settle and its publish.
      return record.status === 'dead_lettered' && record.run === job.run
        ? { kind: 'record', error: record.error }
        : NOTHING
    }
    case 'superseded':
      return NOTHING
    case 'conflict':
      return recorded('conflict', 'another payload took this id and run')
    case 'impossible_run':
      return recorded('invalid', 'pb-run names a run that no replay can have reached')
    default:
      return decideHealthy(job, rules)
  }
}

function decideHealthy(job: Job, { now, firstPublishedAt, maxAgeMs }: ForwardingRules): ForwardedFate {
  if (job.deadline !== undefined && now > job.deadline) {
    return recorded('expired', 'its deadline passed before it was started')
  }
  if (now - firstPublishedAt >= maxAgeMs) {
    const hint = 'See why jobs were put off, mend it, then replay the job.'
    return recorded('max_age', 'it was put off again and again until it was older than MAX_JOB_AGE_DAYS', hint)
  }
  return RESCUE
}

function recorded(kind: RecordError['kind'], message: string, hint?: string): ForwardedFate {
  return { kind: 'record', error: { kind, message, ...(hint === undefined ? {} : { hint }) } }
}
