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
import type { Delivery, ReadDelivery } from '../delivery/delivery.ts'
import type { Facts, Outcome } from '../delivery/outcome.ts'
import { storeFailure } from '../delivery/store-failure.ts'
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

const REFUSED: RecordError = { kind: 'invalid', message: 'the jobs topic refuses to take it again' }
const HELD = { kind: 'busy', message: 'another delivery holds this job' } as const
const CHANGED = { kind: 'busy', message: "the job's record changed meanwhile" } as const

/**
 * Takes one delivery from the dead-letter topic: what a worker dead-lettered is recorded, and what Pub/Sub gave up on is
 * rescued while nothing is wrong with it.
 *
 * Nobody dead-letters it a second time, so whatever it is, it is done with unless the store or the topic is away. Rejects
 * only for a fault of our own.
 */
export async function recordDeadLetter(recording: DeadLetterRecording, read: ReadDelivery): Promise<Outcome> {
  try {
    const claimed = claimedCause(read.delivery.attributes)
    return await (claimed === undefined ? takeForwarded(recording, read) : recordClaimed(recording, read, claimed))
  } catch (error) {
    const failure = awayFailure(error)
    if (failure === undefined) throw error
    return { done: false, failure, facts: {} }
  }
}

async function record(
  recording: DeadLetterRecording,
  { data, attributes }: Delivery,
  cause: DeadLetterCause,
  job?: Job,
) {
  const letter = await keepDeadLetter(recording, { data, attributes }, cause, job)
  const facts: Facts = {
    ...(letter.key === undefined ? {} : { jobKey: letter.key }),
    ...(letter.jobId === undefined ? {} : { jobId: letter.jobId, batch: letter.batch }),
    run: letter.run,
  }
  return { done: true, as: 'dead_letter_recorded', why: sayReason(cause.reason), facts } as const
}

/**
 * Records a message that says itself why it failed. A worker settles a job before it publishes its letter, so the record
 * says why, and without a record the data does; what the message says counts only where neither does. It is never rescued.
 */
async function recordClaimed(recording: DeadLetterRecording, read: ReadDelivery, claimed: DeadLetterCause) {
  const parsed = parse(read)
  if (!parsed.ok) return recordPoison(recording, read.delivery, parsed.problem)
  const { job } = parsed
  const found = await readRecord(recording, job)
  const isKnown = found !== undefined && found !== 'unreadable'
  const error = isKnown ? findFailure(job, found, recording.retry) : undefined
  if (error === undefined) return record(recording, read.delivery, claimed, job)
  return recordAs(recording, read.delivery, error, job)
}

function parse(read: ReadDelivery) {
  const { data, attributes } = read.delivery
  return read.ok ? parseJob(data, attributes, sha256) : read
}

/** Anyone may publish to the topic, so a reason that is none of ours may be any text: it is not for the log. */
function sayReason(reason: string): string {
  return endReasons.find((ours) => ours === reason) ?? 'not one of ours'
}

async function takeForwarded(recording: DeadLetterRecording, read: ReadDelivery): Promise<Outcome> {
  const { delivery } = read
  const parsed = parse(read)
  if (!parsed.ok) return recordPoison(recording, delivery, parsed.problem)
  const { job } = parsed
  const stored = await readRecord(recording, job)
  const found = stored === 'unreadable' ? undefined : stored
  const first = firstPublishedAt(delivery)
  const { now, maxJobAgeMs: maxAgeMs, retry: policy } = recording
  const fate = decideForwarded(job, found, { now: now(), firstPublishedAt: first, maxAgeMs, policy })
  const facts: Facts = { jobKey: job.key, jobId: job.id, batch: job.batch, run: job.run }
  if (fate.kind === 'wait') return { done: false, failure: HELD, facts }
  if (fate.kind === 'rescue') {
    const isTaken = await publishAgain(recording, rescuedMessage(delivery, first))
    return isTaken ? { done: true, as: 'rescued', facts } : recordAs(recording, delivery, REFUSED, job)
  }
  // A record that cannot be read stands as it is: a newer version may have written it, and may read it again.
  const canSettle = stored !== 'unreadable'
  const ended =
    fate.ended ?? (fate.kind === 'record' && canSettle ? await settleOverdue(recording, job, found, fate) : undefined)
  if (ended === 'changed') return { done: false, failure: CHANGED, facts }
  // Whoever settled it may have died before it could tell. First: once its letter is kept, a replay may take its place.
  if (ended !== undefined) await recording.announce(ended)
  return fate.kind === 'record'
    ? recordAs(recording, delivery, fate.error, job)
    : { done: true, as: 'already_settled', facts }
}

/** Records a message with a failure that this worker has found. */
function recordAs(recording: DeadLetterRecording, delivery: Delivery, { kind, ...told }: RecordError, job?: Job) {
  return record(recording, delivery, { reason: kind, ...told, verified: true }, job)
}

/** Records a message that is no job. */
function recordPoison(recording: DeadLetterRecording, delivery: Delivery, message: string) {
  return recordAs(recording, delivery, { kind: 'invalid', message })
}

/**
 * Settles a job whose time is over, so that its batch ends and its letter can be replayed: in the record that waited for the
 * message, or in one of its own where nobody ever claimed it.
 *
 * Resolves with `changed` where a claim or a sweep wrote meanwhile, which stands, and with undefined where its record is of
 * another run, or the store refuses this one for good.
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

/** A job whose record cannot be read is healthy as far as this version knows, until its time is over. */
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

/** Resolves with false where the topic can never take it. */
async function publishAgain({ publishJob }: DeadLetterRecording, message: Message): Promise<boolean> {
  try {
    await publishJob(message)
    return true
  } catch (error) {
    if (error instanceof QueueError && error.code === 'refused') return false
    throw error
  }
}

function awayFailure(error: unknown) {
  if (!(error instanceof QueueError)) return storeFailure(error)
  return { kind: 'store', code: error.code, message: 'the jobs topic or the events topic takes nothing now' } as const
}
