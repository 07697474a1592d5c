import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import type { Call } from '../local/call-log.ts'
import { readConfig } from '../shared/config.ts'
import { jobKey } from '../shared/job/job.ts'
import type { JobRecord } from '../shared/job/record.ts'
import { createLog } from '../shared/log.ts'
import type { StoredMessage } from '../shared/queue/sqlite/queue-file.ts'
import { openQueueReport } from '../shared/queue/sqlite/queue-report.ts'
import { openSqliteDocuments } from '../shared/store/sqlite/sqlite-documents.ts'
import { composeWorker, type Surroundings, type Worker } from '../worker/compose.ts'
import { listen } from '../worker/listen.ts'
import { type Cloud, callsOf, clearFaults } from './stand-ins.ts'
import { sha256 } from './support/job-builders.ts'

export const DEAD_LETTERS = 'dead-letters'

/** What is to be other than usual. */
export interface WorkerOverrides {
  readonly settings?: Readonly<Record<string, string | undefined>>
  readonly surroundings?: Partial<Surroundings>
}

export interface PushOptions {
  readonly attributes?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
}

/** How a push was answered; `reason` is what the worker said with a 503. */
export interface Answer {
  readonly status: number
  readonly reason?: string | undefined
}

/** What a worker has left behind, seen from outside. */
export interface Traces {
  /** The record of a job, by its id and batch. */
  record(id: string, batch?: string): Promise<JobRecord | undefined>
  deadLetters(): Promise<readonly StoredMessage[]>
  /** The model calls since the worker started. */
  modelCalls(): Promise<readonly Call[]>
}

/** A worker in this process, over HTTP, with a store of its own. */
export interface TestWorker extends Traces, AsyncDisposable {
  readonly url: string
  /** Of its store. */
  readonly file: string
  readonly drain: Worker['drain']
  /** Pushes a job as Pub/Sub does, wrapped: an object as JSON, anything else byte by byte. */
  push(job: object | string | Uint8Array, options?: PushOptions): Promise<Answer>
  /** Pushes a body as it is. */
  post(body: string | Uint8Array, headers?: Readonly<Record<string, string>>): Promise<Answer>
  /** Everything that was logged. */
  logText(): string
  /** Takes a table of the worker's store away, so that every use of it fails; resolves with the way back. */
  takeAway(table: 'promptJobs' | 'messages'): () => void
}

/** Starts a worker against a cloud, with a store that nobody used before. Its end clears the cloud's faults. */
export async function startWorker(cloud: Cloud, overrides: WorkerOverrides = {}): Promise<TestWorker> {
  await using started = new AsyncDisposableStack()
  const file = await storeFile(started)
  const lines: string[] = []
  const log = createLog('debug', { write: (line) => lines.push(line) })
  const settings = { STORE: `sqlite:${file}`, PUSH_AUTH: 'off', HOST: '127.0.0.1', PORT: '0', ...overrides.settings }
  const config = readConfig({ ...cloud.env, DEAD_LETTER_TOPIC: DEAD_LETTERS, ...settings })
  const surroundings = {
    log,
    now: Date.now,
    random: Math.random,
    newOwner: randomUUID,
    onCloudRun: false,
    emulators: { firestore: undefined, pubsub: undefined },
  }
  const worker = await composeWorker(config, { ...surroundings, ...overrides.surroundings })
  started.defer(() => worker.close())
  const server = await listen(worker, config)
  started.defer(() => {
    server.close()
    server.closeAllConnections()
  })
  started.defer(async () => {
    for (const standIn of [cloud.azure, cloud.entra, cloud.metadata]) await clearFaults(standIn)
  })
  const { port } = z.object({ port: z.number() }).parse(server.address())
  const url = `http://127.0.0.1:${port}`
  const post = async (body: string | Uint8Array, headers = {}) => postTo(url, body, headers)
  const traces = await tracesOf(cloud, file)
  const cleanups = started.move()
  return {
    ...traces,
    url,
    file,
    drain: worker.drain,
    post,
    push: (job, options = {}) => post(JSON.stringify(wrap(job, options)), options.headers),
    logText: () => lines.join(''),
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

/** The envelope in which Pub/Sub pushes a message. */
export function wrap(job: object | string | Uint8Array, { attributes = {} }: PushOptions = {}) {
  const isData = typeof job === 'string' || job instanceof Uint8Array
  const data = Buffer.from(isData ? job : JSON.stringify(job)).toString('base64')
  return { message: { data, attributes, messageId: randomUUID() }, subscription: 'projects/test/subscriptions/jobs' }
}

const answerBody = z.object({ reason: z.string() })

export async function postTo(
  url: string,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const answer = await fetch(`${url}/push`, { method: 'POST', body: Buffer.from(body), headers })
  const text = await answer.text()
  const { data } = answerBody.safeParse(text === '' ? undefined : JSON.parse(text))
  return data === undefined ? { status: answer.status } : { status: answer.status, reason: data.reason }
}

export async function tracesOf(cloud: Cloud, file: string): Promise<Traces> {
  const before = (await callsOf(cloud.azure)).length
  return {
    modelCalls: async () => (await callsOf(cloud.azure)).slice(before),
    async record(id, batch = '') {
      const documents = await openSqliteDocuments(file, Date.now)
      const stored = await documents.read(jobKey(batch, id, sha256))
      documents.close()
      return stored?.record
    },
    async deadLetters() {
      const report = await openQueueReport(file)
      const letters = await report.list(DEAD_LETTERS, { limit: 100 })
      report.close()
      return letters
    },
  }
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

/** The real clock, which can be put on, and tells how often it was read. */
export function watchClock() {
  const clock = { aheadMs: 0 }
  let reads = 0
  const waiting: { readonly reads: number; readonly resolve: () => void }[] = []
  return {
    clock,
    now() {
      reads += 1
      for (const waiter of waiting) if (reads >= waiter.reads) waiter.resolve()
      return Date.now() + clock.aheadMs
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

/** Resolves when the model has been called; rejects when the push that was to call it ended without. */
export async function untilModelCalled({ modelCalls }: Traces, push: Promise<Answer>): Promise<void> {
  const tooSoon = endedTooSoon(push)
  while ((await Promise.race([modelCalls(), tooSoon])).length === 0);
}

/** For an Azure stand-in whose answers wait for the test. */
export function holdAnswers() {
  const asked = Promise.withResolvers<void>()
  const answers = Promise.withResolvers<void>()
  const wait = () => {
    asked.resolve()
    return answers.promise
  }
  return {
    options: { latency: { baseMs: 1 }, surroundings: { wait } },
    /** Resolves when the model is being asked; rejects when the push that was to ask it ended without. */
    askedBy: (push: Promise<Answer>) => Promise.race([asked.promise, endedTooSoon(push)]),
    /** Lets this answer out, and all that follow. */
    letGo: () => answers.resolve(),
  }
}
