import type { Deployment } from '../../shared/config/schema.ts'
import type { AttemptReport, Ending, Release } from '../../shared/job/ending.ts'
import type { EndReason, Failure, Mark } from '../../shared/job/failures.ts'
import { estimateUsage, type Job } from '../../shared/job/job.ts'
import { type AttemptOutcome, type EndError, TIMEOUT, type Usage } from '../../shared/job/record.ts'
import type { ModelReply } from '../../shared/models/provider.ts'
import type { Facts } from '../delivery/outcome.ts'

/* What a reply of the model is in the terms of records and of the log. */

type Answer = Extract<ModelReply, { ok: true }>

interface Used {
  readonly usage: Usage
  readonly usageKnown?: false
}

/** An answer that does not tell its usage is paid for all the same, so limits are charged an estimate. */
export function usedBy({ usage, text }: Answer, job: Pick<Job, 'body'>): Used {
  return usage === undefined ? { usage: estimateUsage(job.body, text.length), usageKnown: false } : { usage }
}

export function succeededWith(reply: Answer, used: Used, { deployment }: Deployment): Ending {
  const { text, finishReason, httpStatus, requestId } = reply
  return { status: 'succeeded', result: text, ...used, finishReason, report: { deployment, httpStatus, requestId } }
}

/** In terms that the last release reads: what the provider could not serve, and what timed out, may have been billed. */
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

export function reportOf({ kind, httpStatus, requestId, usage }: Failure, { deployment }: Deployment): AttemptReport {
  const cause = kind === 'timeout' ? { cause: TIMEOUT } : {}
  return { deployment, httpStatus, requestId, ...cause, ...(usage && { usage }) }
}

export function recordError({ kind, code, message, hint }: Failure, reason: EndReason): EndError {
  // In the order in which a store gives it back, so that the event of a redelivery is the same to the byte.
  return { kind: reason, code: kind === 'timeout' ? TIMEOUT : code, message, hint }
}

export function replyFields(reply: ModelReply, { deployment }: Deployment): Facts {
  if (!reply.ok) return { deployment, httpStatus: reply.failure.httpStatus, requestId: reply.failure.requestId }
  const { httpStatus, requestId, usage } = reply
  return { deployment, httpStatus, requestId, ...usage }
}
