import pRetry from 'p-retry'
import type { Ending, Release } from '../../shared/job/ending.ts'
import type { EndError, SettledRecord } from '../../shared/job/record.ts'
import { type Held, isUnavailable, type JobStore, StoreError } from '../../shared/stores/job-store.ts'
import type { PublishDeadLetter } from '../dead-letters/keep.ts'
import type { DeliveredJob } from '../delivery/delivered-job.ts'
import type { Facts, Outcome } from '../delivery/outcome.ts'
import type { Announce } from '../events/announce.ts'
import type { Log } from '../observe/log.ts'

export interface Settling {
  readonly store: JobStore
  /** Resolves when the dead letter is durable. Rejects with QueueError or StoreError. */
  readonly deadLetter: PublishDeadLetter
  readonly announce: Announce
  /** Epoch milliseconds. */
  readonly now: () => number
  readonly log: Log
}

/** Writes how the job ended, then does what follows. A claim that was lost meanwhile writes nothing. */
export async function settle(
  settling: Settling,
  delivered: DeliveredJob,
  held: Held,
  ending: Ending,
  facts: Facts,
): Promise<Outcome> {
  const write = (last: Ending) =>
    untilStored(() => settling.store.settle(held, last, settling.now()), settling, delivered)
  const result = await write(ending).catch((error: unknown) => {
    if (ending.status !== 'succeeded' || !isRefused(error)) throw error
    return write(withoutAnswer(ending))
  })
  if (result.kind === 'settled') return followUp(settling, delivered, result.record, facts, result.record.status)
  const { promptTokens, completionTokens } = facts
  settling.log.warn({ ...facts, promptTokens, completionTokens }, 'another claim took over: this answer is dropped')
  return { done: false, failure: { kind: 'busy', message: 'another claim took the job over' }, facts }
}

/** Gives a job back that is to be tried again: what its attempt may have cost is written as surely as an answer. */
export function release(settling: Settling, delivered: DeliveredJob, held: Held, how: Release): Promise<void> {
  return untilStored(() => settling.store.release(held, how, settling.now()), settling, delivered)
}

/** An answer that the store can never take ends its job all the same: asked again, it would be paid for again. */
function withoutAnswer({ report, usage, usageKnown }: Extract<Ending, { status: 'succeeded' }>): Ending {
  const error: EndError = {
    kind: 'store',
    message: 'the model answered, and the store refuses the answer for good',
    hint: 'Ask for a shorter answer, then replay the job.',
  }
  const used = { usage, ...(usageKnown === false && { usageKnown }) }
  return { status: 'dead_lettered', error, attempt: { outcome: 'succeeded', report: { ...report, ...used } } }
}

function isRefused(error: unknown): boolean {
  return error instanceof StoreError && error.code === 'refused'
}

/** What was paid for, or may have been, is kept and tried again while the push lasts. */
function untilStored<T>(work: () => Promise<T>, { now }: Settling, { deadline }: DeliveredJob): Promise<T> {
  return pRetry(work, {
    retries: 1_000,
    factor: 2,
    minTimeout: 100,
    maxTimeout: 2_000,
    randomize: true,
    maxRetryTime: Math.max(0, deadline - now()),
    shouldRetry: ({ error }) => isUnavailable(error),
  })
}

/** Does what follows a settle, always from the record, so that a redelivery can repeat it. */
export async function followUp(
  settling: Settling,
  delivered: DeliveredJob,
  record: SettledRecord,
  facts: Facts,
  as: SettledRecord['status'] | 'repeated',
): Promise<Outcome> {
  // First: once its dead letter is there, a replay may take the record's place, and nothing tells of this run any more.
  await settling.announce(record)
  if (record.status !== 'dead_lettered') return { done: true, as, facts }
  const { kind, message, code, hint } = record.error
  await settling.deadLetter(delivered.message, { reason: kind, message, code, hint, key: record.key }, delivered.job)
  return { done: true, as, why: code ?? kind, facts }
}

/** A message that must not touch the record that stands: the dead-letter topic is all that learns of it. */
export async function deadLetterOnly(
  settling: Settling,
  delivered: DeliveredJob,
  facts: Facts,
  reason: 'conflict' | 'invalid',
  message: string,
): Promise<Outcome> {
  await settling.deadLetter(delivered.message, { reason, message, key: delivered.job.key }, delivered.job)
  return { done: true, as: reason === 'conflict' ? 'conflict' : 'poison', why: reason, facts }
}
