import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { Call } from '../../local/call-log.ts'
import { readConfig } from '../../shared/config/config.ts'
import { composeWorker, type Dependencies, type Worker } from '../../worker/compose.ts'
import { listen, type ReadLimits } from '../../worker/listen.ts'
import { createLog } from '../../worker/observe/log.ts'
import { type Cloud, callsOf, clearFaults } from './stand-ins.ts'

export const DEAD_LETTERS = 'dead-letters'
export const JOBS = 'jobs'
export const DEAD_LETTER_PATH = '/dead-letter'

/** What is to be other than usual. */
export interface WorkerOverrides {
  readonly settings?: Readonly<Record<string, string | undefined>>
  readonly dependencies?: Partial<Dependencies>
  readonly readLimits?: ReadLimits
}

export interface PushOptions {
  readonly attributes?: Readonly<Record<string, string>>
  /** Of the message, as ISO 8601. */
  readonly publishTime?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** How a push was answered; `reason` is what the worker said with a 503. */
export interface Answer {
  readonly status: number
  readonly reason?: string | undefined
}

/** A worker in this process, over HTTP. */
export interface ServedWorker extends AsyncDisposable {
  readonly url: string
  readonly drain: Worker['drain']
  /** Pushes a job as Pub/Sub does, wrapped: an object as JSON, anything else byte by byte. */
  push(job: object | string | Uint8Array, options?: PushOptions): Promise<Answer>
  /** Pushes a message of the dead-letter topic likewise. */
  forward(job: object | string | Uint8Array, options?: PushOptions): Promise<Answer>
  /** Pushes a body as it is. */
  post(body: string | Uint8Array, headers?: Readonly<Record<string, string>>): Promise<Answer>
  /** Everything that was logged. */
  logText(): string
}

/** Serves a worker against a cloud; the settings say with which store. Its end clears the cloud's faults. */
export async function serveWorker(
  cloud: Cloud,
  { settings, dependencies, readLimits }: WorkerOverrides,
): Promise<ServedWorker> {
  await using started = new AsyncDisposableStack()
  const lines: string[] = []
  const config = readConfig({ ...cloud.env, ...LOCAL, ...settings })
  const usual = {
    log: createLog('debug', { write: (line) => lines.push(line) }),
    now: Date.now,
    elapsed: () => performance.now(),
    random: Math.random,
    newOwner: randomUUID,
    instance: { id: randomUUID() },
    onCloudRun: false,
    emulators: { firestore: undefined, pubsub: undefined },
  }
  const worker = await composeWorker(config, { ...usual, ...dependencies })
  started.defer(() => worker.close())
  const server = await listen(worker, config, readLimits)
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
  const cleanups = started.move()
  return {
    url,
    drain: worker.drain,
    post,
    push: (job, options = {}) => post(JSON.stringify(wrap(job, options)), options.headers),
    forward: (job, options = {}) => postTo(url, JSON.stringify(wrap(job, options)), options.headers, DEAD_LETTER_PATH),
    logText: () => lines.join(''),
    [Symbol.asyncDispose]: () => cleanups.disposeAsync(),
  }
}

const LOCAL = { JOBS_TOPIC: JOBS, DEAD_LETTER_TOPIC: DEAD_LETTERS, PUSH_AUTH: 'off', HOST: '127.0.0.1', PORT: '0' }

/** Gives the model calls from now on. */
export async function watchModelCalls({ azure }: Cloud): Promise<() => Promise<readonly Call[]>> {
  const before = (await callsOf(azure)).length
  return async () => (await callsOf(azure)).slice(before)
}

/** The envelope in which Pub/Sub pushes a message. */
export function wrap(job: object | string | Uint8Array, { attributes = {}, publishTime }: PushOptions = {}) {
  const isData = typeof job === 'string' || job instanceof Uint8Array
  const data = Buffer.from(isData ? job : JSON.stringify(job)).toString('base64')
  const message = { data, attributes, messageId: randomUUID(), ...(publishTime !== undefined && { publishTime }) }
  return { message, subscription: 'projects/test/subscriptions/jobs' }
}

/** So many attributes, each with the longest name and value that Pub/Sub takes. */
export function longestAttributes(count: number): Record<string, string> {
  const names = Array.from({ length: count }, (_, n) => `a-${n}-`.padEnd(256, 'x'))
  return Object.fromEntries(names.map((name) => [name, 'x'.repeat(1_024)]))
}

const answerBody = z.object({ reason: z.string() })

export async function postTo(
  url: string,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>> = {},
  path = '/push',
): Promise<Answer> {
  const answer = await fetch(url + path, { method: 'POST', body: Buffer.from(body), headers })
  const text = await answer.text()
  const { data } = answerBody.safeParse(text === '' ? undefined : JSON.parse(text))
  return data === undefined ? { status: answer.status } : { status: answer.status, reason: data.reason }
}
