import { createHash } from 'node:crypto'
import type { StoredMessage } from '../../shared/queues/sqlite/queue-file.ts'
import type { CallLog } from '../call-log.ts'
import type { Post } from './post.ts'
import { chooseDuplicate, type PushFaultBook } from './push-faults.ts'
import type { PushRequest } from './push-request.ts'
import type { PushTokens } from './push-tokens.ts'
import type { Answer } from './redelivery.ts'
import { SERVICE, type SubscriptionSettings } from './settings.ts'

// https://cloud.google.com/pubsub/docs/push#receive_push. Nothing else acknowledges, not even 203.
const ACK_STATUSES: readonly number[] = [102, 200, 201, 202, 204]

export interface DeliveryParts {
  readonly settings: SubscriptionSettings
  readonly post: Post
  readonly tokens: PushTokens
  readonly faults: PushFaultBook
  readonly log: CallLog
  /** Epoch milliseconds. */
  readonly now: () => number
  readonly closing: AbortSignal
  /** Writes the request of a push. */
  readonly write: (message: StoredMessage) => PushRequest
}

export type Deliver = (message: StoredMessage) => Promise<Answer>

/** Creates the function that delivers one message, or delivers it twice if a fault requires that. */
export function createDelivery(parts: DeliveryParts): Deliver {
  const { settings, faults, closing } = parts
  const send = createSender(parts)
  return async (message) => {
    const duplicate = message.attempt === 1 ? chooseDuplicate(faults.placed(), message.id, settings.name) : undefined
    const copy = duplicate === 'alongside' ? send(message, true) : undefined
    const acked = await send(message, false)
    if (acked && duplicate === 'after-ack') await send(message, true)
    // An ack of either copy acknowledges the message.
    if ((await copy) === true || acked) return faults.take('lose-ack', settings.name) ? 'lost' : 'acked'
    return closing.aborted ? 'cut' : 'nacked'
  }
}

function createSender(parts: DeliveryParts) {
  const { settings, post, log, now, write } = parts
  return async (message: StoredMessage, duplicate: boolean): Promise<boolean> => {
    const { headers, body } = write(message)
    const authorization = await authorize(parts)
    const at = now()
    const status = await post({ headers: { ...headers, ...authorization }, body })
    const acked = status !== undefined && ACK_STATUSES.includes(status)
    const { id: messageId, attempt: deliveryAttempt } = message
    const detail = { messageId, deliveryAttempt, duplicate, acked, dataSha256: sha256Hex(message.data) }
    const call = { at, service: SERVICE, operation: settings.name, durationMs: now() - at, detail }
    await log.record({ ...call, status: status ?? null })
    return acked
  }
}

async function authorize({ settings: { oidc, name }, tokens, faults, now }: DeliveryParts) {
  if (oidc === undefined) return {}
  const forgery = faults.take('forge-token', name)
  const token = forgery ? await tokens.forged(forgery.token, oidc, now()) : await tokens.valid(oidc, now())
  return token === undefined ? {} : { authorization: `Bearer ${token}` }
}

/** Identifies the payload without its content. */
function sha256Hex(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}
