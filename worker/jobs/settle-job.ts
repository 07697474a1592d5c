import pRetry from 'p-retry'
import type { Ending, Release } from '../../shared/job/ending.ts'
import type { EndError, SettledRecord } from '../../shared/job/record.ts'
import type { Clock } from '../../shared/lib/clock.ts'
import { type Held, isUnavailable, type JobStore, StoreError } from '../../shared/stores/job-store.ts'
import type { PublishDeadLetter } from '../dead-letters/keep.ts'
import type { Outcome } from '../delivery/outcome.ts'
import type { Announce } from '../events/announce.ts'
import type { JobContext } from './job-context.ts'

export interface SettleDependencies {
  readonly store: JobStore
  /** Resolves when the dead letter is durable. Rejects with QueueError or StoreError. */
  readonly deadLetter: PublishDeadLetter
  readonly announce: Announce
  readonly now: Clock
}

/** Writes how the job ended, then publishes its event and dead letter. A claim that was lost meanwhile writes nothing. */
export async function settle(
  dependencies: SettleDependencies,
  context: JobContext,
  held: Held,
  ending: Ending,
): Promise<Outcome> {
  const write = (last: Ending) =>
    untilStored(() => dependencies.store.settle(held, last, dependencies.now()), dependencies, context)
  const result = await write(ending).catch((error: unknown) => {
    if (ending.status !== 'succeeded' || !isRefused(error)) throw error
    return write(withoutAnswer(ending))
  })
  if (result.kind === 'settled') return followUp(dependencies, context, result.record, result.record.status)
  const { logFields } = context
  context.observer.answerDropped(logFields)
  return { done: false, failure: { kind: 'busy', message: 'another claim took the job over' }, logFields }
}

/** Releases a job for its next attempt. Retries the write as `settle` does, because the attempt may have cost something. */
export function release(
  dependencies: SettleDependencies,
  context: JobContext,
  held: Held,
  how: Release,
): Promise<void> {
  return untilStored(() => dependencies.store.release(held, how, dependencies.now()), dependencies, context)
}

/** Ends a job whose answer the store refuses for good: a retry would be billed again. */
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

/** Retries a write until the push ends: its content was billed, or may have been. */
function untilStored<T>(
  work: () => Promise<T>,
  { now }: SettleDependencies,
  { delivery: { deadline } }: JobContext,
): Promise<T> {
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

/** Publishes the event and the dead letter of a settled job, from its record alone, so that a redelivery can repeat it. */
export async function followUp(
  dependencies: SettleDependencies,
  { delivery: { message, job }, logFields }: JobContext,
  record: SettledRecord,
  as: SettledRecord['status'] | 'repeated',
): Promise<Outcome> {
  // The event comes first: once the dead letter exists, a replay may replace the record of this run.
  await dependencies.announce(record)
  if (record.status !== 'dead_lettered') return { done: true, as, logFields }
  const { kind, code, hint } = record.error
  const cause = { reason: kind, message: record.error.message, code, hint, key: record.key }
  await dependencies.deadLetter(message, cause, job)
  return { done: true, as, why: code ?? kind, logFields }
}

/** Dead-letters a message that must not change the existing record. */
export async function deadLetterOnly(
  dependencies: SettleDependencies,
  { delivery: { message, job }, logFields }: JobContext,
  reason: 'conflict' | 'invalid',
  problem: string,
): Promise<Outcome> {
  await dependencies.deadLetter(message, { reason, message: problem, key: job.key }, job)
  return { done: true, as: reason === 'conflict' ? 'conflict' : 'poison', why: reason, logFields }
}
