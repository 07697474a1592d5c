import { z } from 'zod'
import type { EndReason, FailureKind } from './failures.ts'

/** unknown: the request was sent, and it may have been billed. */
export type AttemptOutcome = 'succeeded' | 'unknown' | FailureKind

/*
 * A newer version may have written a record, or a person may have edited it. It is read as far as possible: null counts as
 * absent, a fraction is rounded, an unknown text is kept, and an optional field of another form is left out. Without name,
 * run, status, payload and attempts there is not enough to act on.
 */

const text = z.string()
const whole = z.number().transform(Math.round)
/** Epoch milliseconds. */
const time = whole
const count = whole.pipe(z.number().min(0))
/** Reads a malformed value as absent. */
const lenient = <T extends z.ZodType>(schema: T) => schema.optional().catch(undefined)

/** Prompt tokens that the provider had cached, and those that it cached then. */
const cachedFields = { cachedTokens: lenient(count), cacheWriteTokens: lenient(count) }
const usage = z.object({ promptTokens: count, completionTokens: count, ...cachedFields }).readonly()
/** Tokens as the model billed them, or an estimate. `promptTokens` includes the cached ones. */
export type Usage = z.infer<typeof usage>

/** One claim of a job and its outcome. An attempt with a malformed field is kept, because it may have been billed. */
const attemptFields = z
  .object({
    run: count.catch(1),
    /** 1 for the first attempt of a run. */
    n: count.catch(1),
    /** Identifies this claim. Only this claim may settle the attempt. */
    owner: text.catch(''),
    startedAt: time.catch(0),
    endedAt: lenient(time),
    /** One of AttemptOutcome, or what a newer version wrote. */
    outcome: lenient(text),
    /** Why the outcome is unknown: `timeout`. Absent if the reason is not known. */
    cause: lenient(text),
    deployment: lenient(text),
    /** The model that answered, as the answer names it. Absent in older records. */
    model: lenient(text),
    /** The tier that answered, as the answer names it. Absent if it does not. */
    tier: lenient(text),
    /** The deployment that answered in place of this one, as the provider names it. */
    spilledTo: lenient(text),
    httpStatus: lenient(whole),
    requestId: lenient(text),
    usage: lenient(usage),
    /** False if the usage is an estimate. */
    usageKnown: lenient(z.boolean()),
  })
  .readonly()
const attempt = z.preprocess((value) => (typeof value === 'object' && value !== null ? value : {}), attemptFields)
export type Attempt = z.infer<typeof attempt>

/** The attempts of one run that the provider could not serve: whether they were billed is unknown. */
const folded = z.object({ run: count, n: count, firstAt: time.catch(0), lastAt: time.catch(0) }).readonly()
export type FoldedAttempts = z.infer<typeof folded>

/** The location of the answer: the record, or parts beside the record if the answer is too large. */
const storedResult = z
  .union([
    z.object({ in: z.literal('record'), text }),
    z.object({ in: z.literal('parts'), owner: text, count, sha256: text }),
    /** A location that this version does not know. */
    z.unknown().transform(() => ({ in: 'elsewhere' as const })),
  ])
  .readonly()
export type StoredResult = z.infer<typeof storedResult>

const recordError = z
  .object({
    /** One of EndReason, or what a newer version wrote. */
    kind: text,
    code: lenient(text),
    message: text.catch(''),
    hint: lenient(text),
  })
  .readonly()
export type RecordError = z.infer<typeof recordError>
/** Why a job ends, as new records store it. */
export type EndError = RecordError & { readonly kind: EndReason }

const lasting = {
  key: text,
  id: text,
  batch: text,
  /** One of the job urls, or a value from a newer version. */
  url: text,
  model: lenient(text),
  metadata: z.record(text, text).readonly().catch({}),
  /** The job is not started after it. */
  deadline: lenient(time),
  /** When the current run reaches its age limit, with or without its message; absent in older records. */
  giveUpAt: lenient(time),
  run: count,
  payloadHash: text,
  /** The attempt under way and those that counted, of every run, oldest first. */
  attempts: z.array(attempt).readonly(),
  /** Attempts that the provider could not serve, an entry for each run that had some; absent in older records. */
  folded: lenient(z.array(folded).readonly()),
  /** How often the job was deferred by failures that count as no attempt, by their kinds. */
  uncounted: z.record(text, count).readonly().catch({}),
  createdAt: time.catch(0),
  /** The owner of the claim that wrote the record last. It shows whether a write with a lost reply was applied. */
  owner: text.catch(''),
}

/** `expireAt`: when the store may delete the record. */
const settled = { ...lasting, settledAt: time.catch(0), expireAt: time.catch(0) }

/** A lease that cannot be read counts as the longest lease, so that a live attempt is never taken over. */
const UNREADABLE_LEASE_MS = 900_000
const UNREADABLE_ERROR = { kind: 'unknown', message: 'why it ended cannot be read' } as const

/** The names of the deployments that a wait is for: the job may ask others meanwhile. Absent: it is for all. */
const waitsFor = lenient(z.array(text).min(1).readonly())

/** The lease ends `leaseMs` after the record's last change, by the store's own clock. */
const runningRecord = z
  .object({
    ...lasting,
    status: z.literal('running'),
    leaseMs: count.catch(UNREADABLE_LEASE_MS),
    waitMs: lenient(count),
    waitsFor,
  })
  .readonly()
/**
 * An attempt ended, and the job waits for the next one. The next attempt starts at the earliest `waitMs` milliseconds
 * after the record's last change, by the store's clock. An attempt that starts earlier keeps what is left of the
 * wait, and asks none of the deployments in `waitsFor`.
 */
const waitingRecord = z
  .object({ ...lasting, status: z.literal('waiting'), waitMs: lenient(count), waitsFor })
  .readonly()
const NO_USAGE: Usage = { promptTokens: 0, completionTokens: 0 }
const succeededRecord = z
  .object({
    ...settled,
    status: z.literal('succeeded'),
    result: storedResult,
    usage: lenient(usage),
    /** False if the usage is an estimate. */
    usageKnown: lenient(z.boolean()),
    /** `unknown` if the answer has none. */
    finishReason: text.catch('unknown'),
    /** The batch in which the model gave the answer, if another job asked for it. */
    linkedFrom: lenient(text),
  })
  .transform(({ usage, ...record }) =>
    usage ? { ...record, usage } : { ...record, usage: NO_USAGE, usageKnown: false },
  )
  .readonly()
const error = recordError.catch(UNREADABLE_ERROR)
const deadLetteredRecord = z.object({ ...settled, status: z.literal('dead_lettered'), error }).readonly()
const expiredRecord = z.object({ ...settled, status: z.literal('expired'), error }).readonly()
/** For a job that was cancelled before its first claim, only the name is known. */
const cancelledRecord = z
  .object({
    ...settled,
    url: lenient(lasting.url),
    payloadHash: lenient(lasting.payloadHash),
    status: z.literal('cancelled'),
    error,
  })
  .readonly()

/** Everything a store may hold under a job's key. */
export const jobRecord = z.preprocess(
  withoutNulls,
  z.discriminatedUnion('status', [
    runningRecord,
    waitingRecord,
    succeededRecord,
    deadLetteredRecord,
    cancelledRecord,
    expiredRecord,
  ]),
)

export const jobStatuses = [
  'running',
  'waiting',
  'succeeded',
  'dead_lettered',
  'cancelled',
  'expired',
] as const satisfies JobRecord['status'][]

/** A wait for some deployments. */
export interface Wait {
  /** Milliseconds. */
  readonly waitMs: number
  /** Their names. */
  readonly waitsFor: readonly string[]
}

export type RunningRecord = z.infer<typeof runningRecord>
export type WaitingRecord = z.infer<typeof waitingRecord>
export type DeadLetteredRecord = z.infer<typeof deadLetteredRecord>
export type CancelledRecord = z.infer<typeof cancelledRecord>
export type SucceededRecord = z.infer<typeof succeededRecord>
export type SettledRecord = SucceededRecord | DeadLetteredRecord | CancelledRecord | z.infer<typeof expiredRecord>
export type JobRecord = RunningRecord | WaitingRecord | SettledRecord

/** The number of records of each status. An absent status counts as 0. */
export type StatusCounts = Readonly<Partial<Record<JobRecord['status'], number>>>

export function isSettled(record: JobRecord): record is SettledRecord {
  return record.status !== 'running' && record.status !== 'waiting'
}

/** How many of these records are settled, given how many have each status. */
export function settledIn({ succeeded = 0, dead_lettered = 0, cancelled = 0, expired = 0 }: StatusCounts): number {
  return succeeded + dead_lettered + cancelled + expired
}

/** How many of them wait or run. */
export function underWayIn({ running = 0, waiting = 0 }: StatusCounts): number {
  return running + waiting
}

/** Drops fields that are null, at any depth. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls)
  if (typeof value !== 'object' || value === null) return value
  const fields = Object.entries(value).filter(([, field]) => field !== null)
  return Object.fromEntries(fields.map(([name, field]) => [name, withoutNulls(field)]))
}
