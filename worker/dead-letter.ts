import type { Message } from '../shared/queue/job-queue.ts'
import { carriedAttributes, cut, MAX_VALUE_BYTES } from './message-attributes.ts'

/** Why a message went to the dead-letter topic. */
export interface DeadLetterCause {
  readonly reason: string
  readonly message: string
  readonly code?: string | undefined
  readonly hint?: string | undefined
  /** Names the job's record, where it has one. */
  readonly key?: string
}

/** The message as it came, with attributes that say why it failed; those of an earlier failure go. */
export function deadLetterMessage({ data, attributes }: Message, cause: DeadLetterCause): Message {
  const { reason, message, code, hint, key } = cause
  const causes = { 'pb-reason': reason, 'pb-error': message, 'pb-code': code, 'pb-hint': hint, 'pb-key': key }
  const told = Object.entries(causes).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, cut(value, MAX_VALUE_BYTES)] as const],
  )
  return { data, attributes: carriedAttributes(attributes, (name) => Object.hasOwn(causes, name), told) }
}

/** What a dead letter says of itself; undefined for a message that nobody made one. */
export function causeIn(attributes: Message['attributes']): DeadLetterCause | undefined {
  const { 'pb-reason': reason, 'pb-error': message = '', 'pb-code': code, 'pb-hint': hint } = attributes
  return reason === undefined ? undefined : { reason, message, code, hint }
}
