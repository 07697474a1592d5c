import { createPubSub } from '../../shared/queues/pubsub/pubsub-queue.ts'
import { openStores } from '../../shared/stores/open.ts'
import { startEmulator } from '../emulators.ts'
import { type DemoBackend, readJobPushes, TOPICS } from './backend.ts'

const PROJECT = 'promptbridge-local'
/** The emulator pushes two or three messages at a time, so the model is faster here. */
const STAND_INS = { isRelay: true, latency: { baseMs: 30, perOutputTokenMs: 0.5, spread: 0.4 } }
const DELIVERIES = 100

/** Records in Google's Firestore emulator, messages in its Pub/Sub emulator. Both end with the demo. */
export async function openEmulatorBackend(): Promise<DemoBackend> {
  await using opened = new AsyncDisposableStack()
  const [firestore, pubsub] = await Promise.all([startEmulator('firestore'), startEmulator('pubsub')])
  opened.defer(firestore.close)
  opened.defer(pubsub.close)
  const emulators = { firestore: firestore.address, pubsub: pubsub.address }
  const stores = opened.adopt(
    await openStores({ kind: 'firestore', project: PROJECT }, { now: Date.now, emulators }),
    (own) => own.close(),
  )
  const admin = opened.adopt(createPubSub({ project: PROJECT, emulator: pubsub.address }), (own) => own.close())
  const cleanups = opened.move()

  return {
    stores,
    worker: {
      STORE: 'firestore',
      GOOGLE_CLOUD_PROJECT: PROJECT,
      FIRESTORE_EMULATOR_HOST: firestore.address,
      PUBSUB_EMULATOR_HOST: pubsub.address,
    },
    standIns: STAND_INS,
    storeOption: undefined,
    async connect({ push }) {
      const [[jobs], [deadLetters]] = await Promise.all([
        admin.createTopic(TOPICS.jobsTopic),
        admin.createTopic(TOPICS.deadLetterTopic),
      ])
      const retryPolicy = { minimumBackoff: { seconds: 1 }, maximumBackoff: { seconds: 10 } }
      const common = { ackDeadlineSeconds: 60, retryPolicy }
      const deadLetterPolicy = { deadLetterTopic: deadLetters.name, maxDeliveryAttempts: DELIVERIES }
      await jobs.createSubscription('worker', { ...common, pushEndpoint: `${push}/push`, deadLetterPolicy })
      await deadLetters.createSubscription('dead-letters', { ...common, pushEndpoint: `${push}/dead-letter` })
    },
    async countLeft(control, total) {
      const acked = (await readJobPushes(control)).filter(({ detail }) => detail['acked'] === true)
      return total - new Set(acked.map(({ detail }) => detail['dataSha256'])).size
    },
    [Symbol.asyncDispose]: () => cleanups.disposeAsync(),
  }
}
