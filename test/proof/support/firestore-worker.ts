import { randomUUID } from 'node:crypto'
import type { Emulator } from '../../../cli/emulators.ts'
import type { Call } from '../../../local/call-log.ts'
import { jobKey } from '../../../shared/job/job.ts'
import type { JobRecord } from '../../../shared/job/record.ts'
import type { DeadLetterStore } from '../../../shared/stores/dead-letter-store.ts'
import { openDatabase } from '../../../shared/stores/firestore/database.ts'
import { createFirestoreDeadLetters } from '../../../shared/stores/firestore/firestore-dead-letters.ts'
import { createFirestoreDocuments } from '../../../shared/stores/firestore/firestore-documents.ts'
import { createJobReader } from '../../../shared/stores/job-reader.ts'
import type { JobReader } from '../../../shared/stores/job-store.ts'
import { sha256 } from '../../support/job-builders.ts'
import { type ServedWorker, serveWorker, watchModelCalls } from '../../support/served-worker.ts'
import { type Cloud, startCloud } from '../../support/stand-ins.ts'
import { holdAnswers } from '../../support/worker.ts'
import { type FaultProxy, openFaultProxy } from './fault-proxy.ts'

/** A worker whose records are in Firestore, and the network between them. */
export interface FirestoreWorker extends ServedWorker {
  readonly network: FaultProxy
  /** Reads around the network's faults. */
  readonly reader: JobReader
  /** Reads around them, too. */
  readonly letters: DeadLetterStore
  /** The record of a job of no batch, around the network's faults. */
  record(id: string): Promise<JobRecord | undefined>
  /** Resolves when the record of a job has this status. */
  untilStatus(id: string, status: JobRecord['status']): Promise<void>
  /** The model calls since the worker started. */
  modelCalls(): Promise<readonly Call[]>
}

/** Starts one with a database of its own in the emulator, and a connection that is open. */
export async function startFirestoreWorker(
  cloud: Cloud,
  { address }: Emulator,
  settings: Readonly<Record<string, string>> = {},
): Promise<FirestoreWorker> {
  await using started = new AsyncDisposableStack()
  const network = started.use(await openFaultProxy(address))
  const project = `p-${randomUUID()}`
  const dependencies = { emulators: { firestore: network.address, pubsub: undefined } }
  const inFirestore = { STORE: 'firestore', GOOGLE_CLOUD_PROJECT: project, ...settings }
  const worker = started.use(await serveWorker(cloud, { dependencies, settings: inFirestore }))
  const database = started.adopt(openDatabase({ project, emulator: address }), (own) => own.close())
  const reader = createJobReader(createFirestoreDocuments(database))
  const record = (id: string) => reader.read(jobKey('', id, sha256))
  const modelCalls = await watchModelCalls(cloud)
  const ready = await fetch(`${worker.url}/readyz`)
  if (!ready.ok) throw new Error(`the worker is not ready: ${await ready.text()}`)
  const cleanups = started.move()
  return {
    ...worker,
    network,
    reader,
    letters: createFirestoreDeadLetters(database),
    record,
    modelCalls,
    async untilStatus(id, status) {
      while ((await record(id))?.status !== status);
    },
    [Symbol.asyncDispose]: () => cleanups.disposeAsync(),
  }
}

/** One that is asking a model whose answers wait for the test. */
export async function startAskingOverFirestore(emulator: Emulator) {
  await using started = new AsyncDisposableStack()
  const { options, askedBy, letGo } = holdAnswers()
  const cloud = started.use(await startCloud({ azure: options }))
  const worker = started.use(await startFirestoreWorker(cloud, emulator))
  const pushed = worker.push(FIRESTORE_JOB)
  await askedBy(pushed)
  const cleanups = started.move()
  return { worker, pushed, letGo, [Symbol.asyncDispose]: () => cleanups.disposeAsync() }
}

export const FIRESTORE_JOB = {
  id: 'doc-7',
  url: '/v1/chat/completions',
  body: { messages: [{ role: 'user', content: 'Bridges carry people over water.' }] },
}
