import type { Message } from '../../shared/queues/job-queue.ts'
import { MAX_VALUE_BYTES } from '../../shared/queues/message-limits.ts'
import { carriedAttributes, cut, isForwardingMark } from './attributes.ts'

/** Why a message went to the dead-letter topic. */
export interface DeadLetterCause {
  readonly reason: string
  readonly message: string
  readonly code?: string | undefined
  readonly hint?: string | undefined
  /** Names the job's record, where it has one. */
  readonly key?: string
  /**
   * Whether a worker found this cause in the message's data and its job's record. Absent if only the message's attributes
   * name it: any sender can write those.
   */
  readonly verified?: true
}

/** Returns the message with attributes that name its failure. Attributes of an earlier failure or forwarding are removed. */
export function deadLetterMessage({ data, attributes }: Message, cause: DeadLetterCause): Message {
  const { reason, message, code, hint, key } = cause
  const causes = { 'pb-reason': reason, 'pb-error': message, 'pb-code': code, 'pb-hint': hint, 'pb-key': key }
  const added = Object.entries(causes).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, cut(value, MAX_VALUE_BYTES)] as const],
  )
  const isDropped = (name: string) => Object.hasOwn(causes, name) || isForwardingMark(name)
  return { data, attributes: carriedAttributes(attributes, isDropped, added) }
}

/**
 * Reads the failure that a message of the dead-letter topic names. Undefined if it names none, or if Pub/Sub forwarded it: a
 * forwarded job has the attributes that its sender wrote, and no worker has found a failure.
 */
export function claimedCause(attributes: Message['attributes']): DeadLetterCause | undefined {
  const { 'pb-reason': reason, 'pb-error': message = '', 'pb-code': code } = attributes
  if (reason === undefined || Object.keys(attributes).some(isForwardingMark)) return undefined
  // The hint stays an attribute: only a worker's hint is shown as one.
  return { reason, message, code }
}
