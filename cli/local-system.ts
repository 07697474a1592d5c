import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import tls from 'node:tls'
import { z } from 'zod'
import { type Child, type ChildOptions, firstLine, startChild, untilEnded } from './child-process.ts'
import { freePort } from './free-port.ts'
import { programFile } from './installation.ts'

/** Only for a child that hangs: a child that cannot start ends by itself. Far longer than a busy machine needs. */
const START_TIMEOUT_MS = 120_000
const LOOK_EVERY_MS = 25
const WORKER_LOG = 'worker.log'

const readySchema = z.object({
  /** The address of each stand-in, where faults are placed and calls are read. */
  control: z.object({ metadata: z.url(), entra: z.url(), azure: z.url(), push: z.url() }),
  environment: z.object({ AZURE_OPENAI_DEPLOYMENT: z.string(), NODE_EXTRA_CA_CERTS: z.string() }).catchall(z.string()),
  filteredPhrase: z.string(),
})
type Ready = z.infer<typeof readySchema>

export interface LocalSystemOptions {
  /** Holds the logs and Entra's certificate. */
  readonly folder: string
  /** The file of the call log, and of the embedded queue. */
  readonly state: string
  readonly jobsTopic: string
  readonly deadLetterTopic: string
  /** Settings of the stand-ins, see local/main.ts. */
  readonly standIns: Readonly<Record<string, unknown>>
  /** Settings of the worker beside those that the stand-ins give. */
  readonly worker: Readonly<Record<string, string>>
}

/** All services that a worker needs, in one process on this machine. */
export interface LocalStandIns extends Omit<Ready, 'environment'> {
  /** The deployment that jobs may name. */
  readonly model: string
  /** The environment of a worker here. */
  readonly environment: Readonly<Record<string, string>>
  readonly workerLog: string
  /** Rejects when they end before `stop` is called. */
  readonly broken: Promise<never>
  /** Starts the worker and waits until it is ready. Rejects when it ends before, or is not ready in two minutes. */
  startWorker(signal: AbortSignal): Promise<Child>
  stop(): Promise<void>
}

/** The worker and everything it needs, in processes of their own on this machine. */
export interface LocalSystem extends Omit<LocalStandIns, 'startWorker'> {
  /** Ends the worker, which first finishes or releases its jobs. */
  stopWorker(): Promise<void>
}

/**
 * Starts the stand-ins and the worker, and waits until the worker is ready.
 *
 * Rejects when one of them does not start within two minutes or `signal` is aborted. All processes have ended then.
 */
export async function startLocalSystem(options: LocalSystemOptions, signal: AbortSignal): Promise<LocalSystem> {
  await using started = new AsyncDisposableStack()
  const { startWorker, ...standIns } = started.adopt(await startStandIns(options, signal), (own) => own.stop())
  const worker = await startWorker(signal)
  const stopWorker = async () => {
    await worker.stop()
  }
  started.defer(stopWorker)
  const broken = Promise.race([standIns.broken, untilEnded(worker)])
  broken.catch(() => undefined)
  const cleanups = started.move()
  return { ...standIns, broken, stopWorker, stop: () => cleanups.disposeAsync() }
}

/** Starts all services that a worker needs, without a worker. Rejects as startLocalSystem does. */
export async function startStandIns(options: LocalSystemOptions, signal: AbortSignal): Promise<LocalStandIns> {
  await using started = new AsyncDisposableStack()
  const port = await freePort()
  const address = `http://127.0.0.1:${port}`
  reachDirectly()
  const standIns = startProcess(options, address)
  started.defer(async () => {
    await standIns.stop()
  })
  const line = await whenReady(standIns, (waiting) => firstLine(standIns, waiting), signal)
  const ready = readySchema.parse(JSON.parse(line))
  trust(ready.environment.NODE_EXTRA_CA_CERTS)
  const { control, filteredPhrase } = ready
  const ours = { HOST: '127.0.0.1', PORT: String(port), ...options.worker }
  const environment = { ...plainEnvironment(), ...ready.environment, ...ours }
  const broken = untilEnded(standIns)
  broken.catch(() => undefined)
  const cleanups = started.move()
  return {
    control,
    filteredPhrase,
    model: ready.environment.AZURE_OPENAI_DEPLOYMENT,
    environment,
    workerLog: join(options.folder, WORKER_LOG),
    broken,
    startWorker: (waiting) => startWorker({ folder: options.folder, log: WORKER_LOG, environment, address }, waiting),
    stop: () => cleanups.disposeAsync(),
  }
}

/** Messages of a topic that are pushed to an address, as Pub/Sub pushes them. */
export interface EventPushOptions {
  readonly folder: string
  /** The file of the queue. */
  readonly state: string
  readonly events: { readonly topic: string; readonly to: string }
}

export interface EventPush {
  /** The address of the stand-in, which has the keys of the tokens. */
  readonly url: string
  /** Rejects when it ends before `stop` is called. */
  readonly broken: Promise<never>
  stop(): Promise<void>
}

/** Starts only that, without a cloud. Rejects as startStandIns does. */
export async function startEventPush(
  { folder, state, events }: EventPushOptions,
  signal: AbortSignal,
): Promise<EventPush> {
  const standIns = { events, isPushing: false, hasClouds: false }
  const push = startProcess({ folder, state, jobsTopic: '', deadLetterTopic: '', standIns }, events.to)
  try {
    const line = await whenReady(push, (waiting) => firstLine(push, waiting), signal)
    const broken = untilEnded(push)
    broken.catch(() => undefined)
    const { control } = pushReadySchema.parse(JSON.parse(line))
    return { url: control.push, broken, stop: async () => void (await push.stop()) }
  } catch (error) {
    await push.stop()
    throw error
  }
}

const pushReadySchema = z.object({ control: z.object({ push: z.url() }) })

function startProcess(options: Omit<LocalSystemOptions, 'worker'>, address: string): Child {
  const { folder, state, jobsTopic, deadLetterTopic, standIns } = options
  const settings = { state, caPath: join(folder, 'entra.pem'), pushTo: `${address}/push`, jobsTopic, deadLetterTopic }
  return startChild({
    name: 'the stand-ins',
    file: programFile('local'),
    args: [JSON.stringify({ ...settings, ...standIns })],
    folder,
    environment: plainEnvironment(),
    log: 'stand-ins.log',
    isHeard: true,
  })
}

export interface WorkerOptions extends Pick<ChildOptions, 'folder' | 'environment' | 'log'> {
  /** Where it listens. */
  readonly address: string
}

/** Starts a worker and waits until it is ready. Rejects when it ends before, or is not ready in two minutes. */
export async function startWorker(
  { folder, environment, log, address }: WorkerOptions,
  signal: AbortSignal,
): Promise<Child> {
  const worker = startChild({
    name: 'the worker',
    file: programFile('worker'),
    args: [],
    folder,
    environment,
    log,
    isHeard: false,
  })
  try {
    await whenReady(worker, (waiting) => untilAnswering(`${address}/readyz`, waiting), signal)
    return worker
  } catch (error) {
    await worker.stop()
    throw error
  }
}

/** This process places faults at Entra's stand-in over TLS. */
function trust(caPath: string): void {
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), readFileSync(caPath, 'utf8')])
}

/** All calls of this process stay on this machine, so they must not go through a proxy. */
function reachDirectly(): void {
  process.env['no_proxy'] = '*'
}

/** Without the caller's own settings: a key or a proxy for the cloud must not reach these processes. */
function plainEnvironment(): Record<string, string> {
  const { PATH = '', HOME = '', TMPDIR = '' } = process.env
  return { PATH, HOME, ...(TMPDIR === '' ? {} : { TMPDIR }) }
}

/** Waits until a child is ready. Rejects when it ends, when it takes too long, or with `signal`. */
async function whenReady<T>(child: Child, look: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
  const decided = new AbortController()
  const timeout = AbortSignal.timeout(START_TIMEOUT_MS)
  try {
    const looking = look(AbortSignal.any([signal, timeout, decided.signal]))
    return await Promise.race([looking, untilEnded(child)])
  } catch (error) {
    if (!timeout.aborted) throw error
    throw new Error(`${child.name} did not start within ${START_TIMEOUT_MS / 1_000} s; see ${child.logPath}`)
  } finally {
    decided.abort()
  }
}

async function untilAnswering(url: string, signal: AbortSignal): Promise<void> {
  while (!(await fetch(url, { signal }).catch(() => undefined))?.ok) await delay(LOOK_EVERY_MS, undefined, { signal })
}
