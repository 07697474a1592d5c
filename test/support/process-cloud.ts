import { dirname, join } from 'node:path'
import { type Cloud, type CloudOverrides, startCloud } from './stand-ins.ts'
import { DEAD_LETTERS, storeFile, type Traces, tracesOf } from './worker.ts'
import { startWorkerProcess, type WorkerProcess } from './worker-process.ts'

export interface ProcessCloud extends Traces, AsyncDisposable {
  /** The worker's working directory. */
  readonly folder: string
  readonly cloud: Cloud
  /** Starts a worker in it that finds the cloud, with more settings or others. */
  start(more?: Readonly<Record<string, string>>, node?: readonly string[]): WorkerProcess
}

/** A cloud, and what a worker process needs in its environment to work with it. */
export async function startProcessCloud({ entra, ...overrides }: CloudOverrides = {}): Promise<ProcessCloud> {
  await using started = new AsyncDisposableStack()
  const file = await storeFile(started)
  const folder = dirname(file)
  const cloud = started.use(await startCloud({ ...overrides, entra: { ...entra, caPath: join(folder, 'ca.pem') } }))
  const open = { PUSH_AUTH: 'off', HOST: '127.0.0.1', PORT: '0', STORE: `sqlite:${file}` }
  const env = { ...cloud.env, ...open, DEAD_LETTER_TOPIC: DEAD_LETTERS }
  const traces = await tracesOf(cloud, file)
  const cleanups = started.move()
  return {
    ...traces,
    folder,
    cloud,
    start: (more = {}, node = []) => startWorkerProcess(folder, { ...env, ...more }, node),
    [Symbol.asyncDispose]: () => cleanups.disposeAsync(),
  }
}
