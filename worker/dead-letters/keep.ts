import type { Job } from '../../shared/job/job.ts'
import type { Clock } from '../../shared/lib/clock.ts'
import { defined } from '../../shared/lib/defined.ts'
import { type JobQueue, type Message, QueueError } from '../../shared/queues/job-queue.ts'
import { MAX_ATTRIBUTES, MAX_KEY_BYTES, MAX_VALUE_BYTES } from '../../shared/queues/message-limits.ts'
import type { DeadLetter, DeadLetterStore, NewDeadLetter } from '../../shared/stores/dead-letter-store.ts'
import { StoreError } from '../../shared/stores/job-store.ts'
import type { Log } from '../observe/log.ts'
import { cut } from './attributes.ts'
import { type DeadLetterCause, deadLetterMessage } from './message.ts'

export interface LetterKeeping {
  readonly letters: Pick<DeadLetterStore, 'put'>
  /** How long a letter is kept, in milliseconds. */
  readonly ttlMs: number
  readonly now: Clock
}

/** Stores a message as a dead letter. `job`: the parsed job, if the message is one. Rejects with StoreError. */
export async function keepDeadLetter(
  keeping: LetterKeeping,
  message: Message,
  cause: DeadLetterCause,
  job?: Job,
): Promise<DeadLetter> {
  const { letters, ttlMs, now } = keeping
  const at = now()
  const letter = { ...describe(message.attributes, cause, job), at, expireAt: at + ttlMs }
  try {
    return await letters.put(letter, message.data)
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'refused') throw error
    // The store can refuse only the description, so the message is stored without it.
    const { reason, expireAt } = letter
    const bare = { batch: '', run: 1, reason, message: 'the store refused to keep more of it', attributes: {} }
    return letters.put({ ...bare, at, expireAt }, message.data)
  }
}

/** Cuts every text to Pub/Sub's limits: senders choose the texts, and stores accept these sizes. */
function describe(
  attributes: Message['attributes'],
  cause: DeadLetterCause,
  job: Job | undefined,
): Omit<NewDeadLetter, 'at' | 'expireAt'> {
  const text = (value: string) => cut(value, MAX_VALUE_BYTES)
  const { code, hint, verified } = cause
  return {
    ...(job === undefined ? { batch: text(attributes['batch'] ?? ''), run: runIn(attributes) } : nameOf(job)),
    reason: text(cause.reason),
    ...(code === undefined ? {} : { code: text(code) }),
    message: text(cause.message),
    ...(hint === undefined ? {} : { hint: text(hint) }),
    ...(verified && { verified }),
    attributes: Object.fromEntries(
      Object.entries(attributes)
        .slice(0, MAX_ATTRIBUTES)
        .map(([name, value]) => [cut(name, MAX_KEY_BYTES), text(value)]),
    ),
  }
}

function nameOf({ key, id: jobId, batch, run, model }: Job) {
  return { key, jobId, batch, run, ...defined({ model }) }
}

function runIn({ 'pb-run': run = '' }: Message['attributes']): number {
  return /^[1-9]\d{0,5}$/.test(run) ? Number(run) : 1
}

export interface DeadLettering extends LetterKeeping {
  readonly queue: Pick<JobQueue, 'publish'>
  readonly topic: string
  readonly log: Log
}

/** `job`: the parsed job, if the message is one. */
export type PublishDeadLetter = (message: Message, cause: DeadLetterCause, job?: Job) => Promise<void>

/**
 * Creates the function that dead-letters a message. It publishes to the topic, where others can subscribe, and writes to the
 * store if the topic can never accept the message. It rejects with QueueError or StoreError if a retry may succeed.
 */
export function createDeadLettering(dead: DeadLettering): PublishDeadLetter {
  const { queue, topic, log } = dead
  return async (message, cause, job) => {
    try {
      await queue.publish(topic, deadLetterMessage(message, cause))
    } catch (error) {
      if (!(error instanceof QueueError) || error.code !== 'refused') throw error
      const { id }: DeadLetter = await keepDeadLetter(dead, message, { ...cause, verified: true }, job)
      log.warn({ error, letter: id, reason: cause.reason }, 'the dead-letter topic refuses a message: it is recorded')
    }
  }
}
