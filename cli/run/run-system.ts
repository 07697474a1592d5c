import { resolve } from 'node:path'
import { type Child, untilEnded } from '../child-process.ts'
import { freePort } from '../free-port.ts'
import { startStandIns, startWorker } from '../local-system.ts'
import { onThisMachine, type WorkerSettings } from './run-settings.ts'

/** A worker process, and what it needs. */
export interface RunSystem {
  /** Where its parts listen, by their names. */
  readonly addresses: Readonly<Record<string, string>>
  readonly workerLog: string
  /** Rejects when a process ends before `stop` is called. */
  readonly broken: Promise<never>
  /** Ends the worker, which first finishes or releases its jobs. */
  stop(): Promise<void>
}

const WORKER_LOG = 'worker.log'

/** Starts a worker on the caller's own Azure, in the working directory: settings may name files relative to it. */
export async function startOwn(
  { environment }: Pick<WorkerSettings, 'environment'>,
  folder: string,
  signal: AbortSignal,
): Promise<RunSystem> {
  const port = environment['PORT'] || String(await freePort())
  const address = `http://127.0.0.1:${port}`
  const options = { folder: process.cwd(), log: resolve(folder, WORKER_LOG), address }
  const worker = await startWorker({ ...options, environment: { ...environment, PORT: port } }, signal)
  return { addresses: { worker: address }, workerLog: worker.logPath, broken: watch(worker), stop: () => ended(worker) }
}

/** Fast enough to try a file, slow enough to see its progress. */
const LATENCY = { baseMs: 250, perOutputTokenMs: 3, spread: 0.4 }

export interface DemoOptions {
  readonly file: string
  readonly folder: string
  /** The models that jobs name, each with the url of one of them. */
  readonly models: ReadonlyMap<string, string>
  /** Further settings of the worker. */
  readonly worker?: Readonly<Record<string, string>>
}

/** Starts stand-ins for the models and for both clouds, and a worker on them. */
export async function startDemo(
  { file, folder, models, worker: more }: DemoOptions,
  signal: AbortSignal,
): Promise<RunSystem> {
  const standIns = await startStandIns(
    {
      ...{ folder: resolve(folder), state: file, ...TOPICS, worker: { ...onThisMachine(file), ...more } },
      standIns: { isPushing: false, latency: LATENCY },
    },
    signal,
  )
  try {
    const environment = { ...standIns.environment, ...serving(models, standIns.environment) }
    const address = `http://127.0.0.1:${standIns.environment['PORT']}`
    const worker = await startWorker({ folder: resolve(folder), log: WORKER_LOG, environment, address }, signal)
    const broken = Promise.race([standIns.broken, untilEnded(worker)])
    broken.catch(() => undefined)
    const { metadata, entra, azure } = standIns.control
    return {
      addresses: { worker: address, azure, entra, metadata },
      workerLog: worker.logPath,
      broken,
      async stop() {
        await worker.stop()
        await standIns.stop()
      },
    }
  } catch (error) {
    await standIns.stop()
    throw error
  }
}

const EMBEDDINGS = '/v1/embeddings'
/** What the stand-in of the model calls its deployment of embeddings. */
const EMBEDDING_DEPLOYMENT = 'text-embedding-3-small'

/** One stand-in answers for every model that a job names; the first is that of jobs without one. */
function serving(models: ReadonlyMap<string, string>, environment: Readonly<Record<string, string>>) {
  const { AZURE_OPENAI_ENDPOINT: endpoint = '', AZURE_OPENAI_DEPLOYMENT: text = '' } = environment
  const named = [...models].map(([model, url]) => ({
    ...{ model, endpoint, deployment: url === EMBEDDINGS ? EMBEDDING_DEPLOYMENT : text },
  }))
  const all = models.has(text) ? named : [{ model: text, endpoint, deployment: text }, ...named]
  return { DEPLOYMENTS: JSON.stringify(all), AZURE_OPENAI_ENDPOINT: '', AZURE_OPENAI_DEPLOYMENT: '' }
}

/** As the settings have them by default, so that other commands find the jobs. */
export const TOPICS = { jobsTopic: 'promptbridge-jobs', deadLetterTopic: 'promptbridge-dead-letter' }

function watch(worker: Child): Promise<never> {
  const broken = untilEnded(worker)
  broken.catch(() => undefined)
  return broken
}

async function ended(worker: Child): Promise<void> {
  await worker.stop()
}
