import { endReasons, type RetryPolicy } from '../../shared/job/failures.ts'
import { decideForwarded, type ForwardedFate, findFailure } from '../../shared/job/forwarded.ts'
import type { Job } from '../../shared/job/job.ts'
import { parseJob } from '../../shared/job/parse-job.ts'
import type { RecordError, SettledRecord } from '../../shared/job/record.ts'
import { timeOver, timeOverUnseen } from '../../shared/job/transitions.ts'
import { sha256 } from '../../shared/lib/sha256.ts'
import { type Message, QueueError } from '../../shared/queues/job-queue.ts'
import { isUnavailable, StoreError } from '../../shared/stores/job-store.ts'
import type { RecordDocuments, StoredRecord } from '../../shared/stores/record-documents.ts'
import type { Delivery, ParsedDelivery } from '../delivery/delivery.ts'
import { storeFailure } from '../delivery/failures.ts'
import type { LogFields, Outcome } from '../delivery/outcome.ts'
import type { Announce } from '../events/announce.ts'
import { keepDeadLetter, type LetterKeeping } from './keep.ts'
import { claimedCause, type DeadLetterCause } from './message.ts'
import { firstPublishedAt, rescuedMessage } from './rescue.ts'

export interface DeadLetterRecording extends LetterKeeping {
  readonly retry: RetryPolicy
  readonly maxJobAgeMs: number
  readonly records: Pick<RecordDocuments, 'create' | 'read' | 'replace'>
  /** Publishes a job again. Rejects with QueueError. */
  readonly publishJob: (message: Message) => Promise<unknown>
  readonly announce: Announce
}

const REFUSED: RecordError = { kind: 'invalid', message: 'the jobs topic refuses the message' }
const HELD = { kind: 'busy', message: 'another delivery holds this job' } as const
const CHANGED = { kind: 'busy', message: "the job's record changed meanwhile" } as const

/**
 * Processes one delivery from the dead-letter topic. A message that a worker dead-lettered is recorded. A healthy job that
 * Pub/Sub forwarded is rescued.
 *
 * This subscription has no dead-letter topic of its own, so every message is acknowledged unless the store or a topic is
 * unavailable. Rejects only with an internal error.
 */
export async function recordDeadLetter(recording: DeadLetterRecording, read: ParsedDelivery): Promise<Outcome> {
  try {
    const claimed = claimedCause(read.delivery.attributes)
    return await (claimed === undefined ? recordForwarded(recording, read) : recordClaimed(recording, read, claimed))
  } catch (error) {
    const failure = storeFailure(error, 'the jobs topic')
    if (failure === undefined) throw error
    return { done: false, failure, logFields: {} }
  }
}

async function record(
  recording: DeadLetterRecording,
  { data, attributes }: Delivery,
  cause: DeadLetterCause,
  job?: Job,
) {
  const letter = await keepDeadLetter(recording, { data, attributes }, cause, job)
  const logFields: LogFields = {
    ...(letter.key === undefined ? {} : { jobKey: letter.key }),
    ...(letter.jobId === undefined ? {} : { jobId: letter.jobId, batch: letter.batch }),
    run: letter.run,
  }
  return { done: true, as: 'dead_letter_recorded', why: loggableReason(cause.reason), logFields } as const
}

/**
 * Records a message whose attributes name its failure. A worker settles a job before it publishes the dead letter, so the
 * record names the failure, or the data if there is no record. The attributes count only if neither does. Never rescues.
 */
async function recordClaimed(recording: DeadLetterRecording, read: ParsedDelivery, claimed: DeadLetterCause) {
  const parsed = parse(read)
  if (!parsed.ok) return recordPoison(recording, read.delivery, parsed.problem)
  const { job } = parsed
  const found = await readRecord(recording, job)
  const isKnown = found !== undefined && found !== 'unreadable'
  const error = isKnown ? findFailure(job, found, recording.retry) : undefined
  if (error === undefined) return record(recording, read.delivery, claimed, job)
  return recordAs(recording, read.delivery, error, job)
}

function parse(read: ParsedDelivery) {
  const { data, attributes } = read.delivery
  return read.ok ? parseJob(data, attributes, sha256) : read
}

/** Returns a known reason only: anyone may publish to the topic, so an unknown one may be any text. */
function loggableReason(reason: string): string {
  return endReasons.find((known) => known === reason) ?? 'unknown reason'
}

async function recordForwarded(recording: DeadLetterRecording, read: ParsedDelivery): Promise<Outcome> {
  const { delivery } = read
  const parsed = parse(read)
  if (!parsed.ok) return recordPoison(recording, delivery, parsed.problem)
  const { job } = parsed
  const stored = await readRecord(recording, job)
  const found = stored === 'unreadable' ? undefined : stored
  const first = firstPublishedAt(delivery)
  const { now, maxJobAgeMs: maxAgeMs, retry: policy } = recording
  const fate = decideForwarded(job, found, { now: now(), firstPublishedAt: first, maxAgeMs, policy })
  const logFields: LogFields = { jobKey: job.key, jobId: job.id, batch: job.batch, run: job.run }
  if (fate.kind === 'wait') return { done: false, failure: HELD, logFields }
  if (fate.kind === 'rescue') {
    const isTaken = await publishAgain(recording, rescuedMessage(delivery, first))
    return isTaken ? { done: true, as: 'rescued', logFields } : recordAs(recording, delivery, REFUSED, job)
  }
  // An unreadable record is not changed: a newer version may have written it and may still read it.
  const canSettle = stored !== 'unreadable'
  const ended =
    fate.ended ?? (fate.kind === 'record' && canSettle ? await settleOverdue(recording, job, found, fate) : undefined)
  if (ended === 'changed') return { done: false, failure: CHANGED, logFields }
  // The process that settled it may have died before it published the event. The event comes before the dead letter, because
  // a replay may replace the record once the dead letter is stored.
  if (ended !== undefined) await recording.announce(ended)
  return fate.kind === 'record'
    ? recordAs(recording, delivery, fate.error, job)
    : { done: true, as: 'already_settled', logFields }
}

/** Records a message with a failure that this worker found. */
function recordAs(recording: DeadLetterRecording, delivery: Delivery, { kind, ...error }: RecordError, job?: Job) {
  return record(recording, delivery, { reason: kind, ...error, verified: true }, job)
}

/** Records a message that is not a valid job. */
function recordPoison(recording: DeadLetterRecording, delivery: Delivery, message: string) {
  return recordAs(recording, delivery, { kind: 'invalid', message })
}

/**
 * Settles a job whose time is over, so that its batch can end and its dead letter can be replayed. It changes the waiting
 * record, or creates one if no worker ever claimed the job.
 *
 * Resolves with `changed` if a claim or a sweep wrote meanwhile, whose write stays. Resolves with undefined if the record
 * belongs to another run, or if the store refuses the write for good.
 */
async function settleOverdue(
  { records, now, ttlMs }: DeadLetterRecording,
  job: Job,
  found: StoredRecord | undefined,
  { unsettled, error }: Extract<ForwardedFate, { kind: 'record' }>,
): Promise<SettledRecord | 'changed' | undefined> {
  const at = { now: now(), expireAt: now() + ttlMs }
  const ended = found === undefined ? timeOverUnseen(job, error, at) : unsettled && timeOver(unsettled, error, at)
  if (ended === undefined) return undefined
  try {
    const written = await (found === undefined ? records.create(ended) : records.replace(ended, found.revision))
    return written.kind === 'written' ? ended : 'changed'
  } catch (refused) {
    if (isUnavailable(refused)) throw refused
    return undefined
  }
}

/** Reads the job's record. A job with an unreadable record counts as healthy until its time is over. */
async function readRecord(
  { records }: DeadLetterRecording,
  { key }: Job,
): Promise<StoredRecord | undefined | 'unreadable'> {
  try {
    return await records.read(key)
  } catch (error) {
    if (error instanceof StoreError && error.code === 'corrupt') return 'unreadable'
    throw error
  }
}

/** Resolves with false if the topic can never accept the message. */
async function publishAgain({ publishJob }: DeadLetterRecording, message: Message): Promise<boolean> {
  try {
    await publishJob(message)
    return true
  } catch (error) {
    if (error instanceof QueueError && error.code === 'refused') return false
    throw error
  }
}
