import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Environment } from '../../shared/config/rules.ts'
import { PRIVATE_FOLDER } from '../../shared/lib/private-files.ts'
import { lockFolder } from '../demo/lock-folder.ts'
import { startEventPush } from '../local-system.ts'
import { pricesIn } from '../prices.ts'
import { readSettings } from '../read-settings.ts'
import { checkToken, readRunSettings } from '../run/run-settings.ts'
import { type RunSystem, startDemo, startOwn, TOPICS } from '../run/run-system.ts'

const FOLDER = '.promptbridge'
/** The answers of the stand-in never get among those that were paid for. */
const FILES = { own: 'promptbridge.db', standIns: 'dev.db' }
const EVENTS_TOPIC = 'promptbridge-events'
const CERTS_PATH = '/oauth2/v3/certs'

export interface DevOptions {
  readonly azure?: true
  /** Where events are pushed. */
  readonly eventsTo?: string
  readonly port?: number
}

/** A worker and what it needs, which stay until `stop` is called. */
export interface DevSystem extends Omit<RunSystem, 'workerLog'>, AsyncDisposable {
  /** The value of `--store` for other commands. */
  readonly store: string
  /** The files and addresses of its parts, by their names. */
  readonly addresses: Readonly<Record<string, string>>
}

/** Starts a worker on one file, with stand-ins or the caller's own Azure. Rejects when a process cannot start. */
export async function startDev(options: DevOptions, environment: Environment, signal: AbortSignal): Promise<DevSystem> {
  mkdirSync(FOLDER, { recursive: true, mode: PRIVATE_FOLDER })
  await using opened = new AsyncDisposableStack()
  opened.use(lockFolder(FOLDER, 'dev'))
  const path = join(FOLDER, options.azure ? FILES.own : FILES.standIns)
  const state = resolve(path)
  const start = options.azure
    ? await prepareOwn(options, environment, state)
    : prepareStandIns(options, environment, state)
  const events = { topic: EVENTS_TOPIC, to: options.eventsTo ?? '' }
  const push =
    options.eventsTo === undefined
      ? undefined
      : opened.adopt(await startEventPush({ folder: FOLDER, state, events }, signal), (own) => own.stop())
  const system = opened.adopt(await start(signal), (own) => own.stop())
  const broken = push === undefined ? system.broken : Promise.race([system.broken, push.broken])
  broken.catch(() => undefined)
  const ofEvents = push && { eventsTo: events.to, eventKeys: `${push.url}${CERTS_PATH}` }
  const cleanups = opened.move()
  const stop = () => cleanups.disposeAsync()
  return {
    store: `sqlite:${path}`,
    addresses: { ...system.addresses, ...ofEvents, workerLog: system.workerLog },
    broken,
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

type Start = (signal: AbortSignal) => Promise<RunSystem>

async function prepareOwn(options: DevOptions, environment: Environment, file: string): Promise<Start> {
  const settings = readRunSettings(environment, file)
  await checkToken(settings, Date.now)
  return (signal) => startOwn({ environment: { ...settings.environment, ...workerOf(options) } }, FOLDER, signal)
}

/** Jobs may name every model that has a price, and the one stand-in answers for all of them. */
function prepareStandIns(options: DevOptions, environment: Environment, file: string): Start {
  const { JOBS_TOPIC = TOPICS.jobsTopic, DEAD_LETTER_TOPIC = TOPICS.deadLetterTopic } =
    readSettings(environment).environment
  const models = new Map([...pricesIn(environment).values()].flat().map(({ model }) => [model, urlOf(model)] as const))
  const worker = { JOBS_TOPIC, DEAD_LETTER_TOPIC, ...workerOf(options) }
  return (signal) => startDemo({ file, folder: FOLDER, models, worker }, signal)
}

function urlOf(model: string): string {
  return model.includes('embedding') ? '/v1/embeddings' : '/v1/chat/completions'
}

function workerOf({ eventsTo, port }: DevOptions): Readonly<Record<string, string>> {
  return { ...(eventsTo !== undefined && { EVENTS_TOPIC }), ...(port !== undefined && { PORT: String(port) }) }
}
