import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import type { Call } from '../../local/call-log.ts'
import { jobKey } from '../../shared/job/job.ts'
import type { JobRecord } from '../../shared/job/record.ts'
import type { StoredMessage } from '../../shared/queues/sqlite/queue-file.ts'
import { openQueueReport } from '../../shared/queues/sqlite/queue-report.ts'
import type { DeadLetter } from '../../shared/stores/dead-letter-store.ts'
import { openSqliteDeadLetters } from '../../shared/stores/sqlite/sqlite-dead-letters.ts'
import { openSqliteDocuments } from '../../shared/stores/sqlite/sqlite-documents.ts'
import { openSqliteTelemetry } from '../../shared/stores/sqlite/sqlite-telemetry.ts'
import type { Listing, TelemetryStore, TokenFailure, WorkerInstance } from '../../shared/stores/telemetry-store.ts'
import { sha256 } from './job-builders.ts'
import {
  type Answer,
  DEAD_LETTERS,
  JOBS,
  postTo,
  type ServedWorker,
  serveWorker,
  type WorkerOverrides,
  watchModelCalls,
  wrap,
} from './served-worker.ts'
import type { Cloud } from './stand-ins.ts'

/** A topic of events. */
export const EVENTS = 'events'

export type { WorkerOverrides }
export { DEAD_LETTERS, JOBS, postTo, wrap }

export interface RecordedLetter extends DeadLetter {
  readonly raw: Buffer
}

/** What a worker has left behind, seen from outside. */
export interface Traces {
  /** The record of a job, by its id and batch. */
  record(id: string, batch?: string): Promise<JobRecord | undefined>
  deadLetters(): Promise<readonly StoredMessage[]>
  /** The messages of the jobs topic: none but what was rescued, for tests push jobs by themselves. */
  rescued(): Promise<readonly StoredMessage[]>
  /** The messages of the topic of events, for a worker that has it. */
  events(): Promise<readonly StoredMessage[]>
  /** The dead letters that were recorded, with their data. */
  recorded(): Promise<readonly RecordedLetter[]>
  /** The model calls since the worker started. */
  modelCalls(): Promise<readonly Call[]>
  /** The recorded token failures, the latest first. */
  tokenFailures(): Promise<readonly TokenFailure[]>
  /** The workers that gave a sign of life, the latest first. */
  instances(): Promise<readonly WorkerInstance[]>
}

/** A worker in this process, over HTTP, with a store of its own in a file. */
export interface TestWorker extends ServedWorker, Traces {
  /** Of its store. */
  readonly file: string
  /** Takes a table of the worker's store away, so that every use of it fails; resolves with the way back. */
  takeAway(table: 'promptJobs' | 'promptBatches' | 'messages' | 'deadLetters'): () => void
}

/** Starts a worker against a cloud, with a new store. Its disposal clears the cloud's faults. */
export async function startWorker(cloud: Cloud, overrides: WorkerOverrides = {}): Promise<TestWorker> {
  await using started = new AsyncDisposableStack()
  const file = await storeFile(started)
  const settings = { STORE: `sqlite:${file}`, ...overrides.settings }
  const worker = started.use(await serveWorker(cloud, { ...overrides, settings }))
  const traces = await tracesOf(cloud, file)
  const cleanups = started.move()
  return {
    ...worker,
    ...traces,
    file,
    takeAway: (table) => takeAway(file, table),
    [Symbol.asyncDispose]: () => cleanups.disposeAsync(),
  }
}

/** Where a worker's store may be, gone when the stack is disposed of. */
export async function storeFile(stack: AsyncDisposableStack): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'worker-'))
  stack.defer(() => rm(folder, { recursive: true }))
  return join(folder, 'state.db')
}

export async function tracesOf(cloud: Cloud, file: string): Promise<Traces> {
  async function telemetry<T>(read: (store: TelemetryStore) => Promise<Listing<T>>): Promise<readonly T[]> {
    const store = await openSqliteTelemetry(file)
    try {
      return (await read(store)).found
    } finally {
      store.close()
    }
  }
  return {
    tokenFailures: () => telemetry((store) => store.tokenFailures(0, 100)),
    instances: () => telemetry((store) => store.instances(0)),
    modelCalls: await watchModelCalls(cloud),
    async record(id, batch = '') {
      const documents = await openSqliteDocuments(file, Date.now)
      const stored = await documents.read(jobKey(batch, id, sha256))
      documents.close()
      return stored?.record
    },
    deadLetters: () => messagesOf(file, DEAD_LETTERS),
    rescued: () => messagesOf(file, JOBS),
    events: () => messagesOf(file, EVENTS),
    async recorded() {
      const store = await openSqliteDeadLetters(file)
      const { found } = await store.list({}, 100)
      const read = async (letter: DeadLetter) => ({ ...letter, raw: Buffer.from(await store.readData(letter)) })
      const letters = await Promise.all(found.map(read))
      store.close()
      return letters
    },
  }
}

async function messagesOf(file: string, topic: string): Promise<readonly StoredMessage[]> {
  const report = await openQueueReport(file)
  const messages = await report.list(topic, { limit: 100 })
  report.close()
  return messages
}

function takeAway(file: string, table: string): () => void {
  const rename = (from: string, to: string) => {
    const db = new DatabaseSync(file, { timeout: 5_000 })
    db.exec(`ALTER TABLE ${from} RENAME TO ${to}`)
    db.close()
  }
  rename(table, `${table}Away`)
  return () => rename(`${table}Away`, table)
}

/** Waits for no token longer than it must: the next try is as late as may be, and the push is short. */
export const impatient = {
  settings: { ACK_DEADLINE_SECONDS: '10', MODEL_TIMEOUT_SECONDS: '4' },
  dependencies: { random: () => 1 },
}

/** The real clock, which can be moved forward and stopped, and counts its reads. */
export function watchClock() {
  let stoppedAt: number | undefined
  const clock = {
    aheadMs: 0,
    /** From here on it goes by `aheadMs` alone, however long the machine takes. */
    stop() {
      stoppedAt ??= Date.now()
    },
  }
  let reads = 0
  const waiting: { readonly reads: number; readonly resolve: () => void }[] = []
  return {
    clock,
    now() {
      reads += 1
      for (const waiter of waiting) if (reads >= waiter.reads) waiter.resolve()
      return (stoppedAt ?? Date.now()) + clock.aheadMs
    },
    /** Resolves when it has been read so many times more. */
    readAgain(times: number): Promise<void> {
      const { promise, resolve } = Promise.withResolvers<void>()
      waiting.push({ reads: reads + times, resolve })
      return promise
    },
  }
}

async function endedTooSoon(push: Promise<Answer>): Promise<never> {
  throw new Error(`the push ended before the model was asked: ${JSON.stringify(await push)}`)
}

const LOOK_EVERY_MS = 5

/** Resolves when the model has been called; rejects when the push that was to call it ended without. */
export async function untilModelCalled({ modelCalls }: Traces, push: Promise<Answer>): Promise<void> {
  const tooSoon = endedTooSoon(push)
  while ((await Promise.race([modelCalls(), tooSoon])).length === 0) await delay(LOOK_EVERY_MS)
}

/** For an Azure stand-in whose answers wait for the test. `asks`: how many requests the model is being asked by then. */
export function holdAnswers(asks = 1) {
  const asked = Promise.withResolvers<void>()
  const answers = Promise.withResolvers<void>()
  let waiting = 0
  const wait = () => {
    waiting += 1
    if (waiting === asks) asked.resolve()
    return answers.promise
  }
  return {
    options: { latency: { baseMs: 1 }, dependencies: { wait } },
    /** Resolves when the model is being asked; rejects when the push that was to ask it ended without. */
    askedBy: (push: Promise<Answer>) => Promise.race([asked.promise, endedTooSoon(push)]),
    /** Lets this answer out, and all that follow. */
    letGo: () => answers.resolve(),
  }
}
