import type { ClaimRequest, Ending, Release } from '../../shared/job/ending.ts'
import { type Job, jobKey } from '../../shared/job/job.ts'
import type {
  DeadLetteredRecord,
  EndError,
  RunningRecord,
  SucceededRecord,
  WaitingRecord,
} from '../../shared/job/record.ts'
import { ended, firstRecord, linked, released, succeeded } from '../../shared/job/transitions.ts'
import { sha256 } from '../../shared/lib/sha256.ts'

export { sha256 }

/** When a test's story begins. Epoch milliseconds. */
export const START = Date.UTC(2026, 10, 24, 6)
export const DAY_MS = 24 * 60 * 60 * 1_000
export const LEASE_MS = 60_000

export function aJob(over: Partial<Job> = {}): Job {
  const { id = 'doc-7', batch = 'nightly' } = over
  return {
    key: jobKey(batch, id, sha256),
    ...{ id, batch, run: 1, url: '/v1/chat/completions', model: 'gpt-4o', metadata: { row: '7' }, deadline: undefined },
    body: { model: 'gpt-4o', messages: [{ role: 'user', content: 'Summarise: …' }] },
    payloadHash: 'the first payload',
    ...over,
  }
}

export function aClaim(over: Partial<ClaimRequest> = {}): ClaimRequest {
  const policy = { maxAttempts: 5, onUnknown: 'retry' } as const
  return { job: aJob(), owner: 'a', leaseMs: LEASE_MS, policy, maxAgeMs: 7 * DAY_MS, now: START, ...over }
}

export type Answer = Extract<Ending, { status: 'succeeded' }>
export type DeadLetter = Extract<Ending, { status: 'dead_lettered' }>

export function anAnswer(over: Partial<Answer> = {}): Answer {
  return {
    status: 'succeeded',
    result: '{"choices":[]}',
    usage: { promptTokens: 11, completionTokens: 7 },
    finishReason: 'stop',
    report: { deployment: 'gpt-4o-eu', httpStatus: 200, requestId: 'request-1' },
    ...over,
  }
}

const rejection: EndError = { kind: 'rejected', code: 'content_filter', message: 'Azure refused the request' }

export function aDeadLetter(over: Partial<DeadLetter> = {}): DeadLetter {
  return {
    status: 'dead_lettered',
    error: rejection,
    attempt: { outcome: 'rejected', report: { httpStatus: 400 } },
    ...over,
  }
}

export const anExpiry: Extract<Ending, { status: 'expired' }> = {
  status: 'expired',
  error: { kind: 'expired', message: 'the deadline passed before it was started' },
}

export const aCancel: Extract<Ending, { status: 'cancelled' }> = {
  status: 'cancelled',
  error: { kind: 'cancelled', message: 'its batch was cancelled' },
}

export const anAmbiguousEnd: Release = { marks: 'attempt', outcome: 'unknown', report: { httpStatus: 500 } }

export function aRunningRecord(over: Partial<RunningRecord> = {}): RunningRecord {
  return { ...firstRecord(aClaim()), ...over }
}

export function aWaitingRecord(over: Partial<WaitingRecord> = {}): WaitingRecord {
  return { ...released(aRunningRecord(), anAmbiguousEnd, START + 1_000), ...over }
}

const settlement = { now: START + 1_000, expireAt: START + DAY_MS }

export const aSucceededRecord = succeeded(aRunningRecord(), anAnswer(), { in: 'record', text: '{}' }, settlement)
/** Of a job that got the answer of the batch nightly. */
export function aLinkedRecord(over: Partial<SucceededRecord> = {}): SucceededRecord {
  const record = linked(aJob({ batch: 'the next night' }), aSucceededRecord, settlement)
  if (record === undefined) throw new Error('the answer is not that of the job')
  return { ...record, ...over }
}

export const anExpiredRecord = ended(aRunningRecord(), anExpiry, settlement)
export const aCancelledRecord = ended(aRunningRecord(), aCancel, settlement)

export function aDeadLetteredRecord(over: Partial<DeadLetteredRecord> = {}): DeadLetteredRecord {
  const { attempts, ...record } = aRunningRecord()
  const { leaseMs: _, ...lasting } = record
  const end = { endedAt: START + 1_000, outcome: 'rejected', httpStatus: 400 } as const
  return {
    ...lasting,
    ...{ status: 'dead_lettered', error: rejection, settledAt: settlement.now, expireAt: settlement.expireAt },
    attempts: attempts.map((attempt) => ({ ...attempt, ...end })),
    ...over,
  }
}
