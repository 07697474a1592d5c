import { randomUUID } from 'node:crypto'
import pRetry from 'p-retry'
import { type Emulator, startEmulator } from '../../../cli/emulators.ts'
import { createPubSub, openPubSubQueue } from '../../../shared/queues/pubsub/pubsub-queue.ts'
import { openDatabase } from '../../../shared/stores/firestore/database.ts'
import { createFirestoreDocuments } from '../../../shared/stores/firestore/firestore-documents.ts'
import { aRunningRecord } from '../../support/job-builders.ts'

/** The first calls of a Java process that has just started may take longer than our deadlines for them. */
const UNTIL_WARM = { retries: 100, minTimeout: 100, factor: 1 }

/** Starts an emulator that has done its work once. Rejects as startEmulator does. */
export async function startWarmEmulator(service: 'firestore' | 'pubsub'): Promise<Emulator> {
  const emulator = await startEmulator(service)
  await (service === 'firestore' ? warmFirestore(emulator) : warmPubSub(emulator))
  return emulator
}

async function warmFirestore({ address }: Emulator): Promise<void> {
  const database = openDatabase({ project: 'warm-up', emulator: address })
  const documents = createFirestoreDocuments(database)
  const batch = 'warm-up'
  await pRetry(async () => {
    const record = aRunningRecord({ key: randomUUID(), batch })
    await documents.create(record)
    await documents.read(record.key)
    await Array.fromAsync(documents.list(batch))
  }, UNTIL_WARM)
  await database.close()
}

async function warmPubSub({ address }: Emulator): Promise<void> {
  const to = { project: 'warm-up', emulator: address }
  const admin = createPubSub(to)
  await pRetry(() => admin.topic('warm-up').get({ autoCreate: true }), UNTIL_WARM)
  await admin.close()
  const queue = openPubSubQueue(to)
  await pRetry(() => queue.publish('warm-up', { data: Buffer.from('x'), attributes: {} }), UNTIL_WARM)
  await queue.close()
}
