import { fullTopicName } from '../../config/topic-name.ts'
import { GRPC, readCallFailure } from '../../lib/grpc-status.ts'
import { QueueError } from '../job-queue.ts'

/** What calls go to. */
export interface PubSubPlace {
  readonly project: string
  /** HOST:PORT of an emulator. */
  readonly emulator: string | undefined
}

/** Returns a function that makes a QueueError of the error of a publish: it names the address, the topic and the fix. */
export function createPublishRefusal({
  project,
  emulator,
}: PubSubPlace): (error: unknown, topic: string) => QueueError {
  const at = addressOf(emulator)
  return (error, topic) => {
    const name = fullTopicName(topic, project)
    const isOfMessage = readCallFailure(error).status === GRPC.invalidArgument && !isOfTopic(error, name)
    if (isOfMessage) return new QueueError('refused', 'Pub/Sub refuses this message for good', error)
    return new QueueError('unavailable', `${at} did not take the message: ${explain(error, name, emulator)}`, error)
  }
}

/** Names Pub/Sub with its address. */
export function addressOf(emulator: string | undefined): string {
  return `Pub/Sub at ${emulator ?? 'pubsub.googleapis.com'}`
}

function explain(error: unknown, topic: string, emulator: string | undefined): string {
  switch (readCallFailure(error).status) {
    case GRPC.invalidArgument:
      return `${topic} is not a valid topic name; correct it`
    case GRPC.notFound:
      return `the topic ${topic} does not exist; create it, or correct its name`
    case GRPC.permissionDenied:
      return `this login may not publish to the topic ${topic}; it needs roles/pubsub.publisher on it`
    default:
      return explainOutage(error, emulator)
  }
}

/** Why Pub/Sub did not answer a call, and how to fix it. */
export function explainOutage(error: unknown, emulator: string | undefined): string {
  const { status, met } = readCallFailure(error)
  const cause = met === undefined ? '' : ` (${met})`
  switch (status) {
    case GRPC.unauthenticated:
      return 'it does not accept the login; run gcloud auth application-default login'
    case GRPC.deadlineExceeded:
      return `it did not answer in time${cause}; ${fixOf(emulator)}`
    case GRPC.unavailable:
      return `it cannot be reached${cause}; ${fixOf(emulator)}`
    default:
      return `status ${status}${cause}`
  }
}

function fixOf(emulator: string | undefined): string {
  return emulator === undefined
    ? 'check the network, a proxy and a firewall'
    : 'check this emulator, or correct or unset PUBSUB_EMULATOR_HOST, which names it'
}

/** https://docs.cloud.google.com/pubsub/docs/pubsub-basics#resource_names */
const TOPIC_NAME = /^projects\/[^/]+\/topics\/(?!goog)[A-Za-z][\w.~+%-]{2,254}$/
/** As Pub/Sub and its emulator begin the error: the status alone can also be of a message. */
const NAME_REFUSED = /Invalid resource name|Invalid \[topics\] name/

function isOfTopic(error: unknown, topic: string): boolean {
  return !TOPIC_NAME.test(topic) || (error instanceof Error && NAME_REFUSED.test(error.message))
}
