import { type Message, QueueError } from './job-queue.ts'

// Pub/Sub's limits: https://cloud.google.com/pubsub/quotas#resource_limits
const MAX_DATA_BYTES = 10_000_000
export const MAX_ATTRIBUTES = 100
export const MAX_KEY_BYTES = 256
export const MAX_VALUE_BYTES = 1_024

/**
 * Throws QueueError `refused` for a message that Pub/Sub would refuse.
 *
 * Google's emulator and the embedded queue accept such a message. Without this check, the job would fail only in the cloud.
 */
export function checkLimits({ data, attributes }: Message): void {
  const entries = Object.entries(attributes)
  if (data.byteLength === 0 && entries.length === 0) refuse('it has neither data nor attributes')
  if (data.byteLength > MAX_DATA_BYTES) refuse(`${data.byteLength} bytes of data, more than ${MAX_DATA_BYTES}`)
  if (entries.length > MAX_ATTRIBUTES) refuse(`${entries.length} attributes, more than ${MAX_ATTRIBUTES}`)
  for (const [key, value] of entries) checkAttribute(key, value)
}

function checkAttribute(key: string, value: string): void {
  // Its encoding would not be valid UTF-8. Each call with it would fail, with an error that does not name the cause.
  if (!key.isWellFormed() || !value.isWellFormed()) refuse('an attribute holds half a surrogate pair')
  const keyBytes = Buffer.byteLength(key)
  if (keyBytes === 0) refuse('an attribute key is empty')
  if (keyBytes > MAX_KEY_BYTES) refuse(`an attribute key of ${keyBytes} bytes, more than ${MAX_KEY_BYTES}`)
  const valueBytes = Buffer.byteLength(value)
  if (valueBytes > MAX_VALUE_BYTES) refuse(`attribute '${key}' has ${valueBytes} bytes, more than ${MAX_VALUE_BYTES}`)
}

function refuse(why: string): never {
  throw new QueueError('refused', `Message refused: ${why}`)
}
