import type { Job } from '../../shared/job/job.ts'
import { type JobQueue, type Message, QueueError } from '../../shared/queues/job-queue.ts'
import type { DeadLetter, DeadLetterStore, NewDeadLetter } from '../../shared/stores/dead-letter-store.ts'
import { StoreError } from '../../shared/stores/job-store.ts'
import type { Log } from '../observe/log.ts'
import { cut, MAX_ATTRIBUTES, MAX_NAME_BYTES, MAX_VALUE_BYTES } from './attributes.ts'
import { type DeadLetterCause, deadLetterMessage } from './message.ts'

export interface LetterKeeping {
  readonly letters: Pick<DeadLetterStore, 'put'>
  /** How long a letter is kept, in milliseconds. */
  readonly ttlMs: number
  /** Epoch milliseconds. */
  readonly now: () => number
}

/** Keeps a message as a dead letter. `job`: what it was read as, if it is one. Rejects with StoreError. */
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
    // Whatever the store has against it is in what we tell of it. The message itself is kept all the same.
    const { reason, expireAt } = letter
    const bare = { batch: '', run: 1, reason, message: 'the store refused to keep more of it', attributes: {} }
    return letters.put({ ...bare, at, expireAt }, message.data)
  }
}

/** All of it was sent by others, and is kept to what Pub/Sub allows, which stores can take. */
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
        .map(([name, value]) => [cut(name, MAX_NAME_BYTES), text(value)]),
    ),
  }
}

function nameOf({ key, id: jobId, batch, run, model }: Job) {
  return { key, jobId, batch, run, ...(model === undefined ? {} : { model }) }
}

function runIn({ 'pb-run': run = '' }: Message['attributes']): number {
  return /^[1-9]\d{0,5}$/.test(run) ? Number(run) : 1
}

export interface DeadLettering extends LetterKeeping {
  readonly queue: Pick<JobQueue, 'publish'>
  readonly topic: string
  readonly log: Log
}

/** `job`: what the message was read as, if it is one. */
export type PublishDeadLetter = (message: Message, cause: DeadLetterCause, job?: Job) => Promise<void>

/**
 * Makes the function that dead-letters a message: through the topic, where others can hear of it, or, where that can
 * never take it, straight into the store. It rejects with QueueError or StoreError while both may work later.
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
