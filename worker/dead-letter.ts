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

/** The message as it came, with attributes that say why it failed. */
export function deadLetterMessage({ data, attributes }: Message, cause: DeadLetterCause): Message {
  const { reason, message, code, hint, key } = cause
  const reasons = Object.entries({
    'pb-reason': reason,
    'pb-error': message,
    'pb-code': code,
    'pb-hint': hint,
    'pb-key': key,
  }).flatMap(([name, value]) => (value === undefined ? [] : [[name, cut(value)] as const]))
  const carried = Object.entries(attributes).slice(0, MAX_ATTRIBUTES - reasons.length)
  return { data, attributes: Object.fromEntries([...carried, ...reasons]) }
}

function cut(value: string): string {
  let kept = value.slice(0, MAX_VALUE_BYTES)
  while (Buffer.byteLength(kept) > MAX_VALUE_BYTES) kept = kept.slice(0, -1)
  return kept.toWellFormed()
}
