import type { Job } from '../shared/job/job.ts'
import { parseJob } from '../shared/job/parse-job.ts'
import type { Log } from '../shared/log.ts'
import { type JobQueue, type Message, QueueError } from '../shared/queue/job-queue.ts'
import { sha256 } from '../shared/sha256.ts'
import type { DeadLetter, DeadLetterStore, NewDeadLetter } from '../shared/store/dead-letter-store.ts'
import { StoreError } from '../shared/store/job-store.ts'
import { type DeadLetterCause, deadLetterMessage } from './dead-letter.ts'
import { cut, MAX_ATTRIBUTES, MAX_NAME_BYTES, MAX_VALUE_BYTES } from './message-attributes.ts'

export interface LetterKeeping {
  readonly letters: Pick<DeadLetterStore, 'put'>
  /** How long a letter is kept, in milliseconds. */
  readonly ttlMs: number
  /** Epoch milliseconds. */
  readonly now: () => number
}

/** Keeps a message as a dead letter. Rejects with StoreError. */
export async function keepDeadLetter(keeping: LetterKeeping, message: Message, cause: DeadLetterCause) {
  const { letters, ttlMs, now } = keeping
  const at = now()
  const letter = describe(message, cause, at, at + ttlMs)
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
function describe(message: Message, cause: DeadLetterCause, at: number, expireAt: number): NewDeadLetter {
  const { data, attributes } = message
  const parsed = parseJob(data, attributes, sha256)
  const text = (value: string) => cut(value, MAX_VALUE_BYTES)
  const { code, hint, verified } = cause
  return {
    ...(parsed.ok ? nameOf(parsed.job) : { batch: text(attributes['batch'] ?? ''), run: runIn(attributes) }),
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
    at,
    expireAt,
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

/**
 * Makes the function that dead-letters a message: through the topic, where others can hear of it, or, where that can
 * never take it, straight into the store. It rejects with QueueError or StoreError while both may work later.
 */
export function createDeadLettering(dead: DeadLettering): (message: Message, cause: DeadLetterCause) => Promise<void> {
  const { queue, topic, log } = dead
  return async (message, cause) => {
    try {
      await queue.publish(topic, deadLetterMessage(message, cause))
    } catch (error) {
      if (!(error instanceof QueueError) || error.code !== 'refused') throw error
      const { id }: DeadLetter = await keepDeadLetter(dead, message, { ...cause, verified: true })
      log.warn({ error, letter: id, reason: cause.reason }, 'the dead-letter topic refuses a message: it is recorded')
    }
  }
}
