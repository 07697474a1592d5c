import type { StoreConfig } from './config.ts'
import type { JobQueue } from './queue/job-queue.ts'
import type { BatchStore, UnfinishedBatches } from './store/batch-store.ts'
import type { DailyTokensStore } from './store/daily-tokens.ts'
import type { DeadLetterStore } from './store/dead-letter-store.ts'
import type { RecordDocuments } from './store/record-documents.ts'
import type { TelemetryStore } from './store/telemetry-store.ts'

/** Where records, batches, daily tokens, dead letters, telemetry and messages are. */
export interface Stores {
  readonly documents: RecordDocuments
  readonly batches: BatchStore & UnfinishedBatches
  readonly dailyTokens: DailyTokensStore
  readonly deadLetters: DeadLetterStore
  readonly telemetry: TelemetryStore
  readonly queue: JobQueue
  close(): Promise<void>
}

export interface StoreSurroundings {
  /** Epoch milliseconds. */
  readonly now: () => number
  readonly emulators: Emulators
}

/** HOST:PORT of Google's emulators, where they are to be used. */
export interface Emulators {
  readonly firestore: string | undefined
  readonly pubsub: string | undefined
}

/** Finds the emulators in the variables that Google's own libraries read. */
export function emulatorsIn(environment: Readonly<Record<string, string | undefined>>): Emulators {
  return { firestore: environment['FIRESTORE_EMULATOR_HOST'], pubsub: environment['PUBSUB_EMULATOR_HOST'] }
}

/**
 * Opens the set of adapters that STORE names; the queue follows the records.
 *
 * Only the libraries of that set are loaded. Rejects with StoreError or QueueError.
 */
export function openStores(store: StoreConfig, surroundings: StoreSurroundings): Promise<Stores> {
  return store.kind === 'sqlite' ? openSqlite(store.path, surroundings) : openGoogle(store.project, surroundings)
}

/** Opens the queue alone, for whoever only publishes. Rejects with QueueError. */
export async function openQueue(store: StoreConfig, { now, emulators }: StoreSurroundings): Promise<JobQueue> {
  if (store.kind === 'sqlite') {
    const { openSqliteQueue } = await import('./queue/sqlite/sqlite-queue.ts')
    return openSqliteQueue(store.path, now)
  }
  const { openPubSubQueue } = await import('./queue/pubsub/pubsub-queue.ts')
  return openPubSubQueue({ project: store.project, emulator: emulators.pubsub })
}

async function openSqlite(path: string, surroundings: StoreSurroundings): Promise<Stores> {
  const { openSqliteDocuments } = await import('./store/sqlite/sqlite-documents.ts')
  const { openSqliteBatches } = await import('./store/sqlite/sqlite-batches.ts')
  const { openSqliteDailyTokens } = await import('./store/sqlite/sqlite-daily-tokens.ts')
  const { openSqliteDeadLetters } = await import('./store/sqlite/sqlite-dead-letters.ts')
  const { openSqliteTelemetry } = await import('./store/sqlite/sqlite-telemetry.ts')
  await using opened = new AsyncDisposableStack()
  const documents = opened.adopt(await openSqliteDocuments(path, surroundings.now), (own) => own.close())
  const batches = opened.adopt(await openSqliteBatches(path), (own) => own.close())
  const dailyTokens = opened.adopt(await openSqliteDailyTokens(path), (own) => own.close())
  const deadLetters = opened.adopt(await openSqliteDeadLetters(path, surroundings.now), (own) => own.close())
  const telemetry = opened.adopt(await openSqliteTelemetry(path, surroundings.now), (own) => own.close())
  const queue = opened.adopt(await openQueue({ kind: 'sqlite', path }, surroundings), (own) => own.close())
  const cleanups = opened.move()
  const stores = { documents, batches, dailyTokens, deadLetters, telemetry, queue }
  return { ...stores, close: () => cleanups.disposeAsync() }
}

async function openGoogle(project: string, surroundings: StoreSurroundings): Promise<Stores> {
  const { openDatabase } = await import('./store/firestore/database.ts')
  const { createFirestoreDocuments } = await import('./store/firestore/firestore-documents.ts')
  const { createFirestoreBatches } = await import('./store/firestore/firestore-batches.ts')
  const { createFirestoreDailyTokens } = await import('./store/firestore/firestore-daily-tokens.ts')
  const { createFirestoreDeadLetters } = await import('./store/firestore/firestore-dead-letters.ts')
  const { createFirestoreTelemetry } = await import('./store/firestore/firestore-telemetry.ts')
  const database = openDatabase({ project, emulator: surroundings.emulators.firestore })
  const queue = await openQueue({ kind: 'firestore', project }, surroundings)
  return {
    documents: createFirestoreDocuments(database),
    batches: createFirestoreBatches(database),
    dailyTokens: createFirestoreDailyTokens(database),
    deadLetters: createFirestoreDeadLetters(database),
    telemetry: createFirestoreTelemetry(database),
    queue,
    async close() {
      await Promise.all([database.close(), queue.close()])
    },
  }
}
