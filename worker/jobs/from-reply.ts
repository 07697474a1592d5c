import type { Deployment } from '../../shared/config/deployments.ts'
import { TIMEOUT } from '../../shared/job/attempts.ts'
import type { AttemptReport, Ending, Release } from '../../shared/job/ending.ts'
import type { EndReason, Failure, Mark } from '../../shared/job/failures.ts'
import { estimateUsage, type Job } from '../../shared/job/job.ts'
import type { AttemptOutcome, EndError, Usage } from '../../shared/job/record.ts'
import { defined } from '../../shared/lib/defined.ts'
import type { ModelReply } from '../../shared/models/provider.ts'
import type { LogFields } from '../delivery/outcome.ts'

/* Converts replies of the model to fields of records and of the log. */

type Answer = Extract<ModelReply, { ok: true }>

interface Used {
  readonly usage: Usage
  readonly usageKnown?: false
}

/** An answer without usage is billed too, so limits are charged an estimate. */
export function usedBy({ usage, text }: Answer, job: Pick<Job, 'body'>): Used {
  return usage === undefined ? { usage: estimateUsage(job.body, text.length), usageKnown: false } : { usage }
}

export function succeededWith(reply: Answer, used: Used, { name: deployment }: Deployment): Ending {
  const { text, finishReason, model, serviceTier: tier, spilledTo, httpStatus, requestId } = reply
  const report = { deployment, ...defined({ model, tier, spilledTo }), httpStatus, requestId }
  return { status: 'succeeded', result: text, ...used, finishReason, report }
}

/** Returns an outcome that the last release can read. A timeout or a failure of the provider may have been billed. */
export function outcomeOf({ kind }: Failure): AttemptOutcome {
  return kind === 'ambiguous' || kind === 'timeout' || kind === 'unavailable' ? 'unknown' : kind
}

export function releaseAs(marks: Mark, failure: Failure, report: AttemptReport): Release {
  switch (marks) {
    case 'attempt':
      return { marks, outcome: outcomeOf(failure), report }
    case 'folded':
      return { marks }
    case 'none':
      return { marks, kind: failure.kind }
  }
}

export function reportOf(
  { kind, httpStatus, requestId, usage, spilledTo }: Failure,
  { name: deployment }: Deployment,
): AttemptReport {
  const cause = kind === 'timeout' ? { cause: TIMEOUT } : {}
  return { deployment, httpStatus, requestId, ...cause, ...defined({ spilledTo }), ...(usage && { usage }) }
}

export function recordError({ kind, code, message, hint }: Failure, reason: EndReason): EndError {
  // In the order in which stores return the fields, so that the event of a redelivery has the same bytes.
  return { kind: reason, code: kind === 'timeout' ? TIMEOUT : code, message, hint }
}

export function replyFields(reply: ModelReply, { name: deployment, provider }: Deployment): LogFields {
  if (!reply.ok) {
    const { httpStatus, requestId, spilledTo } = reply.failure
    return { deployment, provider, ...defined({ spilledTo }), httpStatus, requestId }
  }
  const { httpStatus, requestId, usage, serviceTier: tier, spilledTo } = reply
  return { deployment, provider, ...defined({ tier, spilledTo }), httpStatus, requestId, ...usage }
}
