import type { StoredMessage } from '../../shared/queues/sqlite/queue-file.ts'
import type { SubscriptionSettings } from './settings.ts'

export interface PushRequest {
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/** Writes the request that carries a message: wrapped in JSON, or unwrapped with its metadata as headers. */
export function writePush(message: StoredMessage, subscription: SubscriptionSettings): PushRequest {
  return subscription.wrapped ? writeWrapped(message, subscription) : writeUnwrapped(message, subscription)
}

// https://cloud.google.com/pubsub/docs/push#receive_push: each name is present in two spellings, and empty fields are left out.
function writeWrapped(message: StoredMessage, { name, deadLetter }: SubscriptionSettings): PushRequest {
  const { id, attributes, data, attempt } = message
  const at = publishTime(message)
  const envelope = {
    ...(deadLetter && { deliveryAttempt: attempt }),
    message: {
      ...(Object.keys(attributes).length > 0 && { attributes }),
      ...(data.byteLength > 0 && {
        data: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64'),
      }),
      messageId: id,
      message_id: id,
      publishTime: at,
      publish_time: at,
    },
    subscription: name,
  }
  return { headers: { 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify(envelope)) }
}

// https://cloud.google.com/pubsub/docs/payload-unwrapping, with "write metadata" on.
function writeUnwrapped(message: StoredMessage, { name, deadLetter }: SubscriptionSettings): PushRequest {
  const attributes = Object.entries(message.attributes).map(([key, value]) => [key.toLowerCase(), value])
  const headers = {
    ...Object.fromEntries(attributes),
    'x-goog-pubsub-subscription-name': name,
    'x-goog-pubsub-message-id': message.id,
    'x-goog-pubsub-publish-time': publishTime(message),
    ...(deadLetter && { 'x-goog-pubsub-delivery-attempt': String(message.attempt) }),
  }
  return { headers, body: message.data }
}

/** The attributes of a message that Pub/Sub forwards to a dead-letter topic: its own ones and those that Pub/Sub adds. */
export function deadLetterAttributes(
  { attributes, publishedAt }: StoredMessage,
  deliveries: number,
  { name }: SubscriptionSettings,
): Record<string, string> {
  const [, project = '', , subscription = ''] = name.split('/')
  return {
    ...attributes,
    CloudPubSubDeadLetterSourceDeliveryCount: String(deliveries),
    CloudPubSubDeadLetterSourceSubscription: subscription,
    CloudPubSubDeadLetterSourceSubscriptionProject: project,
    CloudPubSubDeadLetterSourceTopicPublishTime: new Date(publishedAt).toISOString(),
  }
}

function publishTime({ publishedAt }: StoredMessage): string {
  return new Date(publishedAt).toISOString()
}
