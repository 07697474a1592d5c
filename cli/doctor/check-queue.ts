import type { PubSub } from '@google-cloud/pubsub'
import type { Config } from '../../shared/config/config.ts'
import { statusOf } from '../../shared/lib/grpc-status.ts'
import { isOfWorker, subscriptionsOf } from '../../shared/queues/pubsub/push-subscriptions.ts'
import { invocation } from '../installation.ts'
import { checkGrant, checkGrants, forwardingGrants } from './check-grants.ts'
import { askMayPublish, checkTopic } from './check-topics.ts'
import { type Asker, describeStatus, fixStatus } from './google-answers.ts'
import {
  createLine,
  judgeSubscription,
  type LiveSubscription,
  subscriptionSchema,
  type WantedSubscription,
} from './judge-subscription.ts'
import type { ReadPolicy } from './read-policy.ts'
import type { Checks, Finding } from './step.ts'

export interface QueueSettings {
  readonly jobsTopic: string
  /** Undefined where the settings are incomplete: then it is not known how the subscription should be configured. */
  readonly config: Config | undefined
  /** HOST:PORT of Pub/Sub's emulator. */
  readonly emulator: string | undefined
  readonly readPolicy: ReadPolicy
}

const SUBSCRIPTION = 'push subscription'
const LETTERS = 'dead-letter subscription'
/** The steps that look at topics and subscriptions. */
export const QUEUE_STEPS = ['topics', SUBSCRIPTION, LETTERS]

const PERMISSION_DENIED = 7
const VIEWER = 'it needs roles/pubsub.viewer, which the worker itself does not need'

/** Checks the topics and the push subscriptions of jobs and dead letters. Changes nothing. */
export async function checkQueue(
  checks: Checks,
  { jobsTopic, config, emulator, readPolicy }: QueueSettings,
  asker: Asker,
): Promise<void> {
  const { createPubSub } = await import('../../shared/queues/pubsub/pubsub-queue.ts')
  const client = createPubSub({ project: asker.project, emulator })
  const isEmulator = emulator !== undefined
  try {
    const topics = [jobsTopic, config?.deadLetterTopic, config?.eventsTopic].filter((topic) => topic !== undefined)
    for (const topic of topics) {
      const askMay = () => askMayPublish(client, topic, isEmulator)
      await checks.run(`topic ${topic}`, (signal) =>
        checkTopic(topic, askMay, asker, (grant) => checkGrant(grant, readPolicy, signal)),
      )
    }
    if (config === undefined) {
      for (const step of [SUBSCRIPTION, LETTERS]) {
        checks.report(step, { ok: null, seen: 'not checked: the settings are incomplete' })
      }
      return
    }
    const { deadLetterTopic } = config
    for (const [step, topic, over] of [
      [SUBSCRIPTION, jobsTopic, { path: '/push', deadLetterTopic }],
      [LETTERS, deadLetterTopic, { path: '/dead-letter', deadLetterTopic: undefined }],
    ] as const) {
      const wanted = { ...wantedOf(config, asker), ...over }
      const found = await checks.run(step, () => findSubscriptions(client, topic, wanted, asker))
      for (const live of found ?? []) {
        for (const [part, finding] of judgeSubscription(live, wanted)) checks.report(`${step}: ${part}`, finding)
      }
      // Only forwarded messages need these grants, and the emulator has no permissions.
      if (over.deadLetterTopic === undefined || isEmulator) continue
      const names = (found ?? []).map(({ name }) => name)
      await checkGrants(checks, forwardingGrants(asker.project, over.deadLetterTopic, names), readPolicy)
    }
  } finally {
    await client.close()
  }
}

/** The configuration that both subscriptions share. */
function wantedOf(
  { pushAuth, ackDeadlineMs }: Config,
  { project }: Asker,
): Omit<WantedSubscription, 'path' | 'deadLetterTopic'> {
  return {
    project,
    push: 'audience' in pushAuth ? pushAuth : undefined,
    ackDeadlineSeconds: ackDeadlineMs / 1_000,
  }
}

/** The topic's subscriptions that push to a worker. */
async function findSubscriptions(
  client: PubSub,
  topic: string,
  wanted: WantedSubscription,
  asker: Asker,
): Promise<Finding<readonly LiveSubscription[]>> {
  const expected = `a subscription of ${topic} that pushes to https://WORKER${wanted.path}`
  try {
    const all = await subscriptionsOf(client, topic)
    const live = all.map(({ metadata }) => subscriptionSchema.parse(metadata))
    const pushing = live.filter(({ pushConfig }) => isOfWorker(pushConfig?.pushEndpoint, wanted.path))
    if (pushing.length > 0) return { ok: true, seen: pushing.map(({ name }) => name).join(', '), value: pushing }
    const others = live.map(({ name, pushConfig }) => `${name} (${pushConfig?.pushEndpoint || 'pull'})`)
    const seen = others.length === 0 ? 'the topic has no subscription' : `only others: ${others.join(', ')}`
    // A pause removes the push endpoint.
    const mayBePaused = wanted.path === '/push' && live.some(({ pushConfig }) => !pushConfig?.pushEndpoint)
    const resume = mayBePaused ? `If delivery was paused: ${invocation()} resume\nOtherwise: ` : ''
    return { ok: false, seen, expected, fix: resume + createLine(topic, wanted) }
  } catch (error) {
    const status = statusOf(error)
    if (status === undefined) throw error
    // Reading subscriptions needs a role that the worker does not need.
    if (status === PERMISSION_DENIED) return { ok: null, seen: `this login cannot read it: ${VIEWER}` }
    const fixes = { role: 'roles/pubsub.viewer', notFound: createLine(topic, wanted) }
    return {
      ok: false,
      seen: describeStatus(status),
      expected,
      fix: fixStatus(status, 'pubsub.googleapis.com', asker, fixes),
    }
  }
}
