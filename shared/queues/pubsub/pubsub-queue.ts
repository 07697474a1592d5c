import { type PublishOptions, PubSub, type Topic } from '@google-cloud/pubsub'
import { CHANNEL_OPTIONS } from '../../lib/channel-options.ts'
import { credentialsByCall, withoutCredentials } from '../../lib/google-credentials.ts'
import { type JobQueue, type Message, QueueError } from '../job-queue.ts'
import { checkLimits } from '../message-limits.ts'
import { createPublishRefusal } from './publish-refusal.ts'

/** Canceled, unknown, deadline exceeded, resource exhausted, aborted, internal, unavailable: as the client's own list. */
const TRY_AGAIN = [1, 2, 4, 8, 10, 13, 14]
/** The client would retry for ten minutes. The caller has only the rest of a push's time. */
const GIVE_UP_AFTER_MS = 10_000
const BACKOFF = {
  initialRetryDelayMillis: 100,
  retryDelayMultiplier: 2,
  maxRetryDelayMillis: 2_000,
  initialRpcTimeoutMillis: 5_000,
  rpcTimeoutMultiplier: 1,
  maxRpcTimeoutMillis: 5_000,
}

const TOGETHER = { maxMessages: 100, maxMilliseconds: 5 }
const ALONE = { maxMessages: 1 }
/** How many of a large set are on their way at once, so that a slow topic does not fill the memory. */
const MAX_OUTSTANDING = 1_000

export interface PubSubOptions {
  readonly project: string
  /** HOST:PORT of an emulator, which needs no credentials. */
  readonly emulator: string | undefined
  /** Until a first message is taken, a publish retries for this time only. Default: 10 s, as later. */
  readonly firstWithinMs?: number | undefined
}

/** Google's client, as its publishers and subscribers here use it. */
export function createPubSub({ project, emulator }: Pick<PubSubOptions, 'project' | 'emulator'>): PubSub {
  const options = { projectId: project, ...CHANNEL_OPTIONS }
  if (emulator === undefined) return new PubSub({ ...options, auth: credentialsByCall(project) })
  return new PubSub({ ...options, apiEndpoint: emulator, emulatorMode: true, auth: withoutCredentials(project) })
}

/** Publishes to Google Pub/Sub, many messages a call. */
export function openPubSubQueue(options: PubSubOptions): JobQueue {
  const client = createPubSub(options)
  const first = topics(client, TOGETHER, options.firstWithinMs)
  const together = topics(client, TOGETHER)
  const alone = topics(client, ALONE)
  const toRefusal = createPublishRefusal(options)
  let isReached = options.firstWithinMs === undefined
  const accepting = new Map<string, Promise<unknown>>()

  async function publish(topic: string, message: Message): Promise<string> {
    checkLimits(message)
    try {
      const id = await send(isReached ? together(topic) : first(topic), message)
      isReached = true
      return id
    } catch (error) {
      const refusal = toRefusal(error, topic)
      if (refusal.code !== 'refused') throw refusal
    }
    // A refused call fails all of its messages. Sent alone, each message gets a separate answer.
    try {
      return await send(alone(topic), message)
    } catch (error) {
      throw toRefusal(error, topic)
    }
  }

  /** The first message of a topic is sent alone: what is wrong with the topic is met once, and nothing else was sent. */
  async function accepts(topic: string, message: Message): Promise<readonly string[]> {
    const earlier = accepting.get(topic)
    if (earlier !== undefined) {
      await earlier
      return []
    }
    const id = publish(topic, message)
    const accepted = id.catch((error: unknown) => {
      if (error instanceof QueueError && error.code === 'refused') return
      accepting.delete(topic)
      throw error
    })
    accepted.catch(() => undefined)
    accepting.set(topic, accepted)
    return [await id]
  }

  return {
    publish,
    async publishAll(topic, messages) {
      messages.forEach(checkLimits)
      const [first] = messages
      if (first === undefined) return []
      const ids = [...(await accepts(topic, first))]
      for (let sent = ids.length; sent < messages.length; sent += MAX_OUTSTANDING) {
        const some = messages.slice(sent, sent + MAX_OUTSTANDING)
        ids.push(...(await Promise.all(some.map((message) => publish(topic, message)))))
      }
      return ids
    },
    close: () => client.close(),
  }
}

function topics(
  client: PubSub,
  batching: NonNullable<PublishOptions['batching']>,
  totalTimeoutMillis = GIVE_UP_AFTER_MS,
): (name: string) => Topic {
  const known = new Map<string, Topic>()
  const backoffSettings = { ...BACKOFF, totalTimeoutMillis }
  const gaxOpts = { timeout: GIVE_UP_AFTER_MS, retry: { retryCodes: TRY_AGAIN, backoffSettings } }
  return (name) => {
    const topic = known.get(name) ?? client.topic(name, { batching, gaxOpts })
    known.set(name, topic)
    return topic
  }
}

function send(topic: Topic, { data, attributes }: Message): Promise<string> {
  return topic.publishMessage({ data: Buffer.from(data), attributes: { ...attributes } })
}
