import { setTimeout as delay } from 'node:timers/promises'
import type { PubSub } from '@google-cloud/pubsub'
import { startEmulator } from '../../../cli/emulators.ts'
import { createPubSub } from '../../../shared/queues/pubsub/pubsub-queue.ts'
import { openStores } from '../../../shared/stores/open.ts'
import { type FaultProxy, openFaultProxy } from '../support/fault-proxy.ts'
import { type Backend, type BackendOptions, MAX_DELIVERIES, type StoreFault, TOPICS } from './backend.ts'
import type { SeenEvent } from './evidence.ts'
import { startPulling } from './pull.ts'
import { type PullRelay, startPullRelay } from './pull-relay.ts'
import { seenEvent } from './sqlite-backend.ts'

const PROJECT = 'promptbridge-local'
/** The emulator does not report what it still has to deliver. A deferred message is redelivered long before. */
const QUIET_MS = 8_000

/** Records and messages in Google's emulators, each worker with a network of its own before both. */
export async function openEmulatorBackend({ workers, now }: BackendOptions): Promise<Backend> {
  await using opened = new AsyncDisposableStack()
  const emulators = { firestore: '', pubsub: '' }
  for (const service of ['firestore', 'pubsub'] as const) {
    const emulator = await startEmulator(service)
    opened.defer(emulator.close)
    emulators[service] = emulator.address
  }
  const stores = opened.adopt(await openStores({ kind: 'firestore', project: PROJECT }, { now, emulators }), (own) =>
    own.close(),
  )
  const admin = opened.adopt(createPubSub({ project: PROJECT, emulator: emulators.pubsub }), (own) => own.close())
  const networks: { readonly firestore: FaultProxy; readonly pubsub: FaultProxy }[] = []
  for (let worker = 0; worker < workers; worker += 1) {
    const firestore = opened.use(await openFaultProxy(emulators.firestore))
    networks.push({ firestore, pubsub: opened.use(await openFaultProxy(emulators.pubsub)) })
  }
  const seen: SeenEvent[] = []
  const urlOf = (subscription: string) => `http://${emulators.pubsub}/v1/${subscription}`
  opened.defer(await watchEvents(admin, urlOf, seen))
  let relay: PullRelay | undefined
  const cleanups = opened.move()

  return {
    stores,
    environmentOf: (worker) => environmentFor(networks[worker]?.firestore.address, networks[worker]?.pubsub.address),
    commandEnvironment: environmentFor(emulators.firestore, emulators.pubsub),
    most: 60,
    async startPush(parts) {
      await subscribe(admin)
      relay = await startPullRelay({ ...parts, urlOf, now })
      return relay
    },
    isIdle: async (lastPushAt) => relay?.underWay() === 0 && now() - lastPushAt > QUIET_MS,
    async inflict(fault, worker, signal) {
      const network = fault.on === 'file' ? undefined : networks[worker]?.[fault.on]
      if (network !== undefined) await breakNetwork(network, fault, signal)
    },
    events: async () => seen,
    [Symbol.asyncDispose]: () => cleanups.disposeAsync(),
  }
}

function environmentFor(firestore = '', pubsub = '') {
  const hosts = { FIRESTORE_EMULATOR_HOST: firestore, PUBSUB_EMULATOR_HOST: pubsub }
  return { STORE: 'firestore', GOOGLE_CLOUD_PROJECT: PROJECT, ...hosts }
}

async function watchEvents(
  admin: PubSub,
  urlOf: (subscription: string) => string,
  seen: SeenEvent[],
): Promise<() => Promise<void>> {
  const [topic] = await admin.createTopic(TOPICS.events)
  const [{ name }] = await topic.createSubscription('chaos-events')
  const closing = new AbortController()
  const pulling = startPulling(
    { url: urlOf(name), most: 100, signal: closing.signal },
    async ({ data, attributes }) => {
      seen.push(seenEvent(data, attributes))
      return true
    },
  )
  return () => {
    closing.abort()
    return pulling.ended
  }
}

async function subscribe(admin: PubSub): Promise<void> {
  const [jobs] = await admin.createTopic(TOPICS.jobs)
  const [deadLetters] = await admin.createTopic(TOPICS.deadLetters)
  const retryPolicy = { minimumBackoff: { seconds: 1 }, maximumBackoff: { seconds: 2 } }
  const common = { ackDeadlineSeconds: 10, retryPolicy }
  const deadLetterPolicy = { deadLetterTopic: deadLetters.name, maxDeliveryAttempts: MAX_DELIVERIES }
  await jobs.createSubscription(`${TOPICS.jobs}-worker`, { ...common, deadLetterPolicy })
  await deadLetters.createSubscription(`${TOPICS.deadLetters}-worker`, common)
}

async function breakNetwork(network: FaultProxy, { kind, ms }: StoreFault, signal: AbortSignal): Promise<void> {
  if (kind === 'stalled') network.stall()
  if (kind === 'cut') network.cut()
  if (kind === 'lost replies') network.loseReplies()
  if (kind === 'stranded') network.strand()
  try {
    await delay(ms, undefined, { signal })
  } finally {
    // Held back, the replies would come late; they are to be lost.
    if (kind === 'lost replies') network.cut()
    network.restore()
  }
}
