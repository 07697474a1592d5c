import type { Message } from '../shared/queue/job-queue.ts'

/** Why a message went to the dead-letter topic. */
export interface DeadLetterCause {
  readonly reason: string
  readonly message: string
  readonly code?: string | undefined
  readonly hint?: string | undefined
  /** Names the job's record, where it has one. */
  readonly key?: string
}

/** Pub/Sub's limits: https://cloud.google.com/pubsub/quotas#resource_limits */
const MAX_ATTRIBUTES = 100
const MAX_VALUE_BYTES = 1_024

/** The message as it came, with attributes that say why it failed; those of an earlier failure go. */
export function deadLetterMessage({ data, attributes }: Message, cause: DeadLetterCause): Message {
  const { reason, message, code, hint, key } = cause
  const causes = { 'pb-reason': reason, 'pb-error': message, 'pb-code': code, 'pb-hint': hint, 'pb-key': key }
  const told = Object.entries(causes).flatMap(([name, value]) => (value === undefined ? [] : [[name, cut(value)]]))
  const carried = Object.entries(attributes).filter(([name]) => !Object.hasOwn(causes, name))
  return { data, attributes: Object.fromEntries([...carried.slice(0, MAX_ATTRIBUTES - told.length), ...told]) }
}

function cut(value: string): string {
  const bytes = Buffer.from(value).subarray(0, MAX_VALUE_BYTES)
  // A character cut in two is held back by a streaming decoder.
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes, { stream: true })
}
