import { GRPC, readCallFailure } from '../../lib/grpc-status.ts'
import type { Deliveries, Handled } from '../deliveries.ts'
import { QueueError } from '../job-queue.ts'
import { addressOf, explainOutage } from './publish-refusal.ts'
import { createPubSub, type PubSubOptions } from './pubsub-queue.ts'
import { type Found, isOfWorker, subscriptionsOf } from './push-subscriptions.ts'
import { liveSubscription, type PushConfig, type SavedPushes } from './saved-push.ts'

const TIMEOUT_MS = 5_000

/**
 * Pauses push subscriptions by removing their endpoint. They become pull subscriptions without a subscriber, and nothing is
 * delivered.
 *
 * The endpoint and the push identity are saved before, and restored by resume.
 */
export function openPubSubDeliveries(options: PubSubOptions, saved: SavedPushes): Deliveries {
  const client = createPubSub(options)

  async function askGoogle<T>(work: () => Promise<T>, topic: string): Promise<T> {
    try {
      return await work()
    } catch (cause) {
      throw new QueueError('unavailable', describe(cause, topic, options), cause)
    }
  }

  async function handleAll(topic: string, name: string | undefined, handle: (one: One) => Promise<Handled>) {
    const handled: Handled[] = []
    for (const found of await askGoogle(() => subscriptionsOf(client, topic), topic)) {
      const one = toOne(found)
      if (name !== undefined && !isNamed(one, name)) continue
      if (name === undefined && one.push !== undefined && !isOfWorker(one.push.pushEndpoint)) continue
      handled.push(await handle(one))
    }
    // Subscriptions without an endpoint are returned only if there are no others.
    const ours = handled.filter(({ state }) => state !== 'no_endpoint')
    return ours.length > 0 ? ours : handled
  }

  return {
    pause: (topic, name) =>
      handleAll(topic, name, async ({ subscription, push, modify }) => {
        if (push === undefined) {
          return { subscription, state: (await saved.find(subscription))?.isPaused ? 'was_paused' : 'no_endpoint' }
        }
        await saved.put({ subscription, push, isPaused: true })
        await askGoogle(() => modify({}), topic)
        return { subscription, state: 'paused' }
      }),
    resume: (topic, name) =>
      handleAll(topic, name, async ({ subscription, push, modify }) => {
        if (push !== undefined) return { subscription, state: 'was_delivered' }
        const found = await saved.find(subscription)
        if (found === undefined || !found.isPaused) return { subscription, state: 'no_endpoint' }
        await askGoogle(() => modify(found.push), topic)
        await saved.put({ ...found, isPaused: false })
        const { pushEndpoint: endpoint } = found.push
        return { subscription, state: 'resumed', ...(endpoint !== null && { endpoint }) }
      }),
    close: () => client.close(),
  }
}

/** A subscription of the topic. */
interface One {
  readonly subscription: string
  /** Undefined if it does not push. */
  readonly push: PushConfig | undefined
  readonly modify: (push: Partial<PushConfig>) => Promise<unknown>
}

function toOne({ subscription, metadata }: Found): One {
  const { name, pushConfig } = liveSubscription.parse(metadata)
  return {
    subscription: name,
    push: pushConfig?.pushEndpoint ? pushConfig : undefined,
    modify: (push) => subscription.modifyPushConfig(push, { timeout: TIMEOUT_MS }),
  }
}

function isNamed({ subscription }: One, name: string): boolean {
  return subscription === name || subscription.endsWith(`/${name}`)
}

const DENIED =
  'this login may not pause and resume: it needs roles/pubsub.viewer on the project, pubsub.subscriptions.update on the subscription, and roles/iam.serviceAccountUser on the account that it pushes as; the Terraform module gives them to pause_operators'

function describe(error: unknown, topic: string, { project, emulator }: PubSubOptions): string {
  const { status } = readCallFailure(error)
  if (status === GRPC.notFound) return `there is no topic ${topic} in project ${project}; JOBS_TOPIC names it`
  if (status === GRPC.permissionDenied) return DENIED
  return `${addressOf(emulator)} (project ${project}) did not do this: ${explainOutage(error, emulator)}`
}
