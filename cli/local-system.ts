import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import tls from 'node:tls'
import { z } from 'zod'
import { type Child, firstLine, startChild } from './child-process.ts'

const ROOT = join(import.meta.dirname, '..')
const START_TIMEOUT_MS = 20_000
const LOOK_EVERY_MS = 25

const readySchema = z.object({
  /** Where each stand-in is told its faults and tells its calls. */
  control: z.object({ metadata: z.url(), entra: z.url(), azure: z.url(), push: z.url() }),
  environment: z.object({ AZURE_OPENAI_DEPLOYMENT: z.string(), NODE_EXTRA_CA_CERTS: z.string() }).catchall(z.string()),
  filteredPhrase: z.string(),
})
type Ready = z.infer<typeof readySchema>

export interface LocalSystemOptions {
  /** Holds the logs and Entra's certificate. */
  readonly folder: string
  /** The file of records, queue and call log. */
  readonly state: string
  readonly jobsTopic: string
  readonly deadLetterTopic: string
  /** Settings of the stand-ins, see local/main.ts. */
  readonly standIns: Readonly<Record<string, unknown>>
  /** Settings of the worker beside those that the stand-ins give. */
  readonly worker: Readonly<Record<string, string>>
}

/** The worker and everything it needs, in processes of their own on this machine. */
export interface LocalSystem extends Omit<Ready, 'environment'> {
  /** The deployment that jobs may name. */
  readonly model: string
  /** Rejects when a process ends that was not told to. */
  readonly broken: Promise<never>
  /** Ends the worker, which first finishes its jobs or gives them back. */
  stopWorker(): Promise<void>
  /** Ends all of it. */
  stop(): Promise<void>
}

/** Starts the stand-ins and the worker, and waits until the worker is ready. Rejects when one of them cannot start. */
export async function startLocalSystem(options: LocalSystemOptions): Promise<LocalSystem> {
  await using started = new AsyncDisposableStack()
  const port = await freePort()
  const address = `http://127.0.0.1:${port}`
  const standIns = startStandIns(options, address)
  started.defer(async () => {
    await standIns.stop()
  })
  const ready = readySchema.parse(JSON.parse(await firstLine(standIns)))
  trust(ready.environment.NODE_EXTRA_CA_CERTS)
  const worker = startWorker(options, ready, port)
  const stopWorker = async () => {
    await worker.stop()
  }
  started.defer(stopWorker)
  const broken = Promise.race([endedItself(standIns, 'the stand-ins'), endedItself(worker, 'the worker')])
  broken.catch(() => undefined)
  await Promise.race([untilReady(`${address}/readyz`), broken])
  const cleanups = started.move()
  const { control, filteredPhrase, environment } = ready
  const model = environment.AZURE_OPENAI_DEPLOYMENT
  return { control, filteredPhrase, model, broken, stopWorker, stop: () => cleanups.disposeAsync() }
}

function startStandIns(options: LocalSystemOptions, address: string): Child {
  const { folder, state, jobsTopic, deadLetterTopic, standIns } = options
  const settings = { state, caPath: join(folder, 'entra.pem'), pushTo: `${address}/push`, jobsTopic, deadLetterTopic }
  return startChild({
    file: join(ROOT, 'local/main.ts'),
    args: [JSON.stringify({ ...settings, ...standIns })],
    folder,
    environment: plainEnvironment(),
    log: 'stand-ins.log',
    isHeard: true,
  })
}

function startWorker({ folder, state, worker }: LocalSystemOptions, { environment }: Ready, port: number): Child {
  const settings = { HOST: '127.0.0.1', PORT: String(port), STORE: `sqlite:${state}`, ...worker }
  return startChild({
    file: join(ROOT, 'worker/main.ts'),
    args: [],
    folder,
    environment: { ...plainEnvironment(), ...environment, ...settings },
    log: 'worker.log',
    isHeard: false,
  })
}

/** Entra's stand-in is told its faults over TLS as well. */
function trust(caPath: string): void {
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), readFileSync(caPath, 'utf8')])
}

/** Nothing of the caller's own settings: a key or a proxy that is meant for the cloud must not reach these. */
function plainEnvironment(): Record<string, string> {
  const { PATH = '', HOME = '', TMPDIR = '' } = process.env
  return { PATH, HOME, ...(TMPDIR === '' ? {} : { TMPDIR }) }
}

async function endedItself(child: Child, who: string): Promise<never> {
  const code = await child.exited
  throw new Error(`${who} ended with code ${code}; ${child.logPath} says why`)
}

async function untilReady(url: string): Promise<void> {
  const deadline = AbortSignal.timeout(START_TIMEOUT_MS)
  while (!deadline.aborted) {
    const answer = await fetch(url, { signal: deadline }).catch(() => undefined)
    if (answer?.ok) return
    await delay(LOOK_EVERY_MS)
  }
  throw new Error('the worker was not ready in time')
}

/** Chosen by the system, and free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a TCP address')
  return address.port
}
