import type { StoreConfig } from '../config/config.ts'
import type { Clock } from '../lib/clock.ts'
import type { JobQueue } from '../queues/job-queue.ts'
import type { BatchReader, BatchStore, UnfinishedBatches } from './batch-store.ts'
import type { DailyTokensStore } from './daily-tokens.ts'
import type { DeadLetterReader, DeadLetterStore } from './dead-letter-store.ts'
import type { MissingDeployments } from './missing-deployments.ts'
import type { PausedDeployments } from './paused-deployments.ts'
import type { RecordDocuments } from './record-documents.ts'
import type { SchemaExtent } from './sqlite/open-tables.ts'
import type { TelemetryReader, TelemetryStore } from './telemetry-store.ts'

/** The stores of records, batches, daily tokens, dead letters, telemetry, missing and paused deployments, and the queue. */
export interface Stores {
  readonly documents: RecordDocuments
  readonly batches: BatchStore & UnfinishedBatches
  readonly dailyTokens: DailyTokensStore
  readonly deadLetters: DeadLetterStore
  readonly telemetry: TelemetryStore
  readonly missingDeployments: MissingDeployments
  readonly pausedDeployments: PausedDeployments
  readonly queue: JobQueue
  close(): Promise<void>
}

/** The read methods of the stores. */
export interface StoreReaders {
  readonly documents: Omit<RecordDocuments, 'create' | 'replace' | 'due' | 'writePart'>
  readonly batches: BatchReader
  readonly deadLetters: DeadLetterReader
  readonly telemetry: TelemetryReader
  close(): Promise<void>
}

export interface StoreDependencies {
  readonly now: Clock
  readonly emulators: Emulators
  /** As in PubSubOptions. */
  readonly firstWithinMs?: number
}

/** HOST:PORT of Google's emulators, if they are used. */
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
export function openStores(store: StoreConfig, dependencies: StoreDependencies): Promise<Stores> {
  if (store.kind === 'sqlite') return openSqlite(store.path, dependencies, 'tables')
  return openGoogle(store, dependencies)
}

/**
 * Opens the same set for a worker. In a database file it also builds missing indexes, and deletes expired rows while the
 * stores are open. Firestore does this by itself.
 */
export async function openWorkerStores(store: StoreConfig, dependencies: StoreDependencies): Promise<Stores> {
  if (store.kind !== 'sqlite') return openStores(store, dependencies)
  const { startExpiry } = await import('./sqlite/expiry.ts')
  await using opened = new AsyncDisposableStack()
  const stores = opened.adopt(await openSqlite(store.path, dependencies, 'whole'), (own) => own.close())
  opened.adopt(startExpiry(store.path, dependencies.now), (own) => own.close())
  const cleanups = opened.move()
  return { ...stores, close: () => cleanups.disposeAsync() }
}

/** Opens the stores for reading. A database file must exist, and is not locked. Rejects with StoreError. */
export async function openStoreReaders(store: StoreConfig, dependencies: StoreDependencies): Promise<StoreReaders> {
  if (store.kind === 'sqlite') {
    const { openSqliteReaders } = await import('./sqlite/open-readers.ts')
    const { close, ...readers } = await openSqliteReaders(store.path, dependencies.now)
    return { ...readers, close: async () => close() }
  }
  const { database, ...stores } = await openFirestore(store, dependencies)
  return { ...stores, close: () => database.close() }
}

/** Opens the queue alone, for a process that only publishes. Rejects with QueueError. */
export async function openQueue(store: StoreConfig, dependencies: StoreDependencies): Promise<JobQueue> {
  const { now, emulators, firstWithinMs } = dependencies
  if (store.kind === 'sqlite') {
    const { openSqliteQueue } = await import('../queues/sqlite/sqlite-queue.ts')
    return openSqliteQueue(store.path, now)
  }
  const { openPubSubQueue } = await import('../queues/pubsub/pubsub-queue.ts')
  return openPubSubQueue({ project: store.project, emulator: emulators.pubsub, firstWithinMs })
}

async function openSqlite(path: string, dependencies: StoreDependencies, extent: SchemaExtent): Promise<Stores> {
  const { openSqliteDocuments } = await import('./sqlite/sqlite-documents.ts')
  const { openSqliteBatches } = await import('./sqlite/sqlite-batches.ts')
  const { openSqliteDailyTokens } = await import('./sqlite/sqlite-daily-tokens.ts')
  const { openSqliteDeadLetters } = await import('./sqlite/sqlite-dead-letters.ts')
  const { openSqliteMissingDeployments } = await import('./sqlite/sqlite-missing-deployments.ts')
  const { openSqlitePausedDeployments } = await import('./sqlite/sqlite-paused-deployments.ts')
  const { openSqliteTelemetry } = await import('./sqlite/sqlite-telemetry.ts')
  await using opened = new AsyncDisposableStack()
  const documents = opened.adopt(await openSqliteDocuments(path, dependencies.now, extent), (own) => own.close())
  const batches = opened.adopt(await openSqliteBatches(path, extent), (own) => own.close())
  const dailyTokens = opened.adopt(await openSqliteDailyTokens(path), (own) => own.close())
  const deadLetters = opened.adopt(await openSqliteDeadLetters(path, extent), (own) => own.close())
  const telemetry = opened.adopt(await openSqliteTelemetry(path, extent), (own) => own.close())
  const openedMissing = await openSqliteMissingDeployments(path, dependencies.now)
  const missingDeployments = opened.adopt(openedMissing, (own) => own.close())
  const pausedDeployments = opened.adopt(await openSqlitePausedDeployments(path), (own) => own.close())
  const queue = opened.adopt(await openQueue({ kind: 'sqlite', path }, dependencies), (own) => own.close())
  const cleanups = opened.move()
  const deployments = { missingDeployments, pausedDeployments }
  const stores = { documents, batches, dailyTokens, deadLetters, telemetry, ...deployments, queue }
  return { ...stores, close: () => cleanups.disposeAsync() }
}

type FirestoreConfig = Extract<StoreConfig, { kind: 'firestore' }>

async function openGoogle(store: FirestoreConfig, dependencies: StoreDependencies): Promise<Stores> {
  const { createFirestoreMissingDeployments } = await import('./firestore/firestore-missing-deployments.ts')
  const { createFirestorePausedDeployments } = await import('./firestore/firestore-paused-deployments.ts')
  const { database, ...stores } = await openFirestore(store, dependencies)
  const queue = await openQueue(store, dependencies)
  return {
    ...stores,
    missingDeployments: createFirestoreMissingDeployments(database, dependencies.now),
    pausedDeployments: createFirestorePausedDeployments(database),
    queue,
    async close() {
      await Promise.all([database.close(), queue.close()])
    },
  }
}

async function openFirestore(store: FirestoreConfig, { emulators }: StoreDependencies) {
  const { openDatabase } = await import('./firestore/database.ts')
  const { createFirestoreDocuments } = await import('./firestore/firestore-documents.ts')
  const { createFirestoreBatches } = await import('./firestore/firestore-batches.ts')
  const { createFirestoreDailyTokens } = await import('./firestore/firestore-daily-tokens.ts')
  const { createFirestoreDeadLetters } = await import('./firestore/firestore-dead-letters.ts')
  const { createFirestoreTelemetry } = await import('./firestore/firestore-telemetry.ts')
  const database = openDatabase({ ...store, emulator: emulators.firestore })
  return {
    database,
    documents: createFirestoreDocuments(database),
    batches: createFirestoreBatches(database),
    dailyTokens: createFirestoreDailyTokens(database),
    deadLetters: createFirestoreDeadLetters(database),
    telemetry: createFirestoreTelemetry(database),
  }
}
