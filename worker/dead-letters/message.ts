import type { Message } from '../../shared/queues/job-queue.ts'
import { carriedAttributes, cut, isForwardingMark, MAX_VALUE_BYTES } from './attributes.ts'

/** Why a message went to the dead-letter topic. */
export interface DeadLetterCause {
  readonly reason: string
  readonly message: string
  readonly code?: string | undefined
  readonly hint?: string | undefined
  /** Names the job's record, where it has one. */
  readonly key?: string
  /**
   * Whether a worker found this by the message's data and its job's record. Absent where the message's attributes say it:
   * any sender can write those.
   */
  readonly verified?: true
}

/** The message as it came, with attributes that say why it failed; those of an earlier failure, or of a forwarding, go. */
export function deadLetterMessage({ data, attributes }: Message, cause: DeadLetterCause): Message {
  const { reason, message, code, hint, key } = cause
  const causes = { 'pb-reason': reason, 'pb-error': message, 'pb-code': code, 'pb-hint': hint, 'pb-key': key }
  const told = Object.entries(causes).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, cut(value, MAX_VALUE_BYTES)] as const],
  )
  const isDropped = (name: string) => Object.hasOwn(causes, name) || isForwardingMark(name)
  return { data, attributes: carriedAttributes(attributes, isDropped, told) }
}

/**
 * What a message of the dead-letter topic says of its failure; undefined where it says nothing, or where Pub/Sub forwarded
 * it. Pub/Sub forwards a job with the attributes that its sender wrote, and no worker has found it to fail.
 */
export function claimedCause(attributes: Message['attributes']): DeadLetterCause | undefined {
  const { 'pb-reason': reason, 'pb-error': message = '', 'pb-code': code } = attributes
  if (reason === undefined || Object.keys(attributes).some(isForwardingMark)) return undefined
  // Its hint stays among its attributes: how to fix a failure is for a worker to say.
  return { reason, message, code }
}
