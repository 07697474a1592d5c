import { z } from 'zod'
import { endReasons, failureKinds } from './failures.ts'
import { jobUrls } from './job.ts'

/** Epoch milliseconds. */
const time = z.number().int()
const count = z.number().int().min(0)

/** Tokens as the model billed them. */
const usage = z.object({ promptTokens: count, completionTokens: count }).readonly()
export type Usage = z.infer<typeof usage>

/** unknown: it was sent, and nobody knows whether it was billed. */
const attemptOutcome = z.enum(['succeeded', 'unknown', ...failureKinds])
export type AttemptOutcome = z.infer<typeof attemptOutcome>

/** One claim of a job and what came of it. */
const attempt = z
  .object({
    run: count,
    /** 1 for the first attempt of a run. */
    n: count,
    /** Names this one claim: nobody else may settle it. */
    owner: z.string(),
    startedAt: time,
    endedAt: time.optional(),
    outcome: attemptOutcome.optional(),
    deployment: z.string().optional(),
    httpStatus: z.number().int().optional(),
    requestId: z.string().optional(),
    usage: usage.optional(),
  })
  .readonly()
export type Attempt = z.infer<typeof attempt>

/** Where the answer is: in the record, or in parts beside it when it is too large. */
const storedResult = z
  .discriminatedUnion('in', [
    z.object({ in: z.literal('record'), text: z.string() }),
    z.object({ in: z.literal('parts'), owner: z.string(), count, sha256: z.string() }),
  ])
  .readonly()
export type StoredResult = z.infer<typeof storedResult>

const recordError = z
  .object({
    kind: z.enum(endReasons),
    code: z.string().optional(),
    message: z.string(),
    hint: z.string().optional(),
  })
  .readonly()
export type RecordError = z.infer<typeof recordError>

const lasting = {
  key: z.string(),
  id: z.string(),
  batch: z.string(),
  url: z.enum(jobUrls),
  model: z.string().optional(),
  metadata: z.record(z.string(), z.string()).readonly(),
  /** The job is not started after it. */
  deadline: time.optional(),
  /** When nobody waits for the present run any more, whatever became of its message; absent in older records. */
  giveUpAt: time.optional(),
  run: count,
  payloadHash: z.string(),
  /** The attempt under way and those that counted, of every run, oldest first. */
  attempts: z.array(attempt).readonly(),
  /** How often the job was put off by failures that count as no attempt. */
  uncounted: z.partialRecord(z.enum(failureKinds), count).readonly(),
  createdAt: time,
  /** Of the claim that wrote the record last: a reply that was lost is told by it. */
  owner: z.string(),
}

/** `expireAt`: when the store may delete the record. */
const settled = { ...lasting, settledAt: time, expireAt: time }

/** The lease ends `leaseMs` after the record's last change, by the store's own clock. */
const runningRecord = z.object({ ...lasting, status: z.literal('running'), leaseMs: count }).readonly()
/** An attempt ended, and the job is to be tried again. */
const waitingRecord = z.object({ ...lasting, status: z.literal('waiting') }).readonly()
const succeededRecord = z
  .object({ ...settled, status: z.literal('succeeded'), result: storedResult, usage, finishReason: z.string() })
  .readonly()
const deadLetteredRecord = z.object({ ...settled, status: z.literal('dead_lettered'), error: recordError }).readonly()
const expiredRecord = z.object({ ...settled, status: z.literal('expired'), error: recordError }).readonly()
/** Of a job that was cancelled before anybody had seen it, only its name is known. */
const cancelledRecord = z
  .object({
    ...settled,
    url: lasting.url.optional(),
    payloadHash: lasting.payloadHash.optional(),
    status: z.literal('cancelled'),
    error: recordError,
  })
  .readonly()

/** Everything a store may hold under a job's key. */
export const jobRecord = z.union([
  runningRecord,
  waitingRecord,
  succeededRecord,
  deadLetteredRecord,
  cancelledRecord,
  expiredRecord,
])

export const jobStatuses = [
  'running',
  'waiting',
  'succeeded',
  'dead_lettered',
  'cancelled',
  'expired',
] as const satisfies JobRecord['status'][]

export type RunningRecord = z.infer<typeof runningRecord>
export type WaitingRecord = z.infer<typeof waitingRecord>
export type DeadLetteredRecord = z.infer<typeof deadLetteredRecord>
export type CancelledRecord = z.infer<typeof cancelledRecord>
export type SettledRecord =
  | z.infer<typeof succeededRecord>
  | DeadLetteredRecord
  | CancelledRecord
  | z.infer<typeof expiredRecord>
export type JobRecord = RunningRecord | WaitingRecord | SettledRecord

/** How many records have each status; none, where a status is absent. */
export type StatusCounts = Readonly<Partial<Record<JobRecord['status'], number>>>

export function isSettled(record: JobRecord): record is SettledRecord {
  return record.status !== 'running' && record.status !== 'waiting'
}

/** How many of these records are settled, given how many have each status. */
export function settledIn({ succeeded = 0, dead_lettered = 0, cancelled = 0, expired = 0 }: StatusCounts): number {
  return succeeded + dead_lettered + cancelled + expired
}

/** How many attempts of the record's present run have ended and counted. */
export function countedAttempts(record: JobRecord): number {
  return record.attempts.filter((attempt) => attempt.run === record.run && attempt.endedAt !== undefined).length
}
