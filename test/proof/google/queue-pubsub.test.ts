import { randomUUID } from 'node:crypto'
import { after } from 'node:test'
import type { PubSub } from '@google-cloud/pubsub'
import { createPubSub, openPubSubQueue } from '../../../shared/queues/pubsub/pubsub-queue.ts'
import { type PushSpec, queueContract } from '../../contract/queue-contract.ts'
import { startWarmEmulator } from '../support/emulators.ts'

/** The emulator's least, whatever a subscription asks for. */
const MIN_BACKOFF_MS = 1_000

const emulator = await startWarmEmulator('pubsub')
after(() => emulator.close())

queueContract('Pub/Sub', async () => {
  /** Each test has a project, and so topics, of its own. */
  const project = `p-${randomUUID()}`
  const options = { project, emulator: emulator.address }
  const admin = createPubSub(options)
  const queue = openPubSubQueue(options)
  return {
    queue,
    minBackoffMs: MIN_BACKOFF_MS,
    async subscribe(...specs) {
      for (const { topic } of specs) await admin.createTopic(topic)
      for (const spec of specs) await createPush(admin, spec)
    },
    async close() {
      await queue.close()
      await admin.close()
    },
  }
})

async function createPush(admin: PubSub, { topic, endpoint, deadLetter }: PushSpec): Promise<void> {
  const policy =
    deadLetter === undefined
      ? {}
      : {
          deadLetterPolicy: {
            deadLetterTopic: `projects/${admin.projectId}/topics/${deadLetter.topic}`,
            maxDeliveryAttempts: deadLetter.maxAttempts,
          },
        }
  await admin.topic(topic).createSubscription(`${topic}-push`, {
    pushEndpoint: endpoint,
    retryPolicy: { minimumBackoff: { seconds: MIN_BACKOFF_MS / 1_000 }, maximumBackoff: { seconds: 10 } },
    ...policy,
  })
}
