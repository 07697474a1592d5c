import type { StoreConfig } from '../config/config.ts'
import type { Deliveries } from '../queues/deliveries.ts'
import type { Emulators } from './open.ts'

/** Opens the control that pauses and resumes the queue of a store. Rejects with QueueError, or SQLite's error. */
export async function openDeliveries(store: StoreConfig, emulators: Emulators): Promise<Deliveries> {
  if (store.kind === 'sqlite') {
    const { openSqliteDeliveries } = await import('../queues/sqlite/sqlite-deliveries.ts')
    return openSqliteDeliveries(store.path)
  }
  const { openPubSubDeliveries } = await import('../queues/pubsub/pubsub-deliveries.ts')
  const { openDatabase } = await import('./firestore/database.ts')
  const { createFirestoreSavedPushes } = await import('./firestore/firestore-saved-pushes.ts')
  const { project } = store
  const database = openDatabase({ ...store, emulator: emulators.firestore })
  const deliveries = openPubSubDeliveries({ project, emulator: emulators.pubsub }, createFirestoreSavedPushes(database))
  return {
    ...deliveries,
    async close() {
      await Promise.all([deliveries.close(), database.close()])
    },
  }
}
