import { join } from 'node:path'
import { freePort } from '../../../cli/free-port.ts'
import { DEFAULT_DEPLOYMENT, startAzureOpenAI } from '../../../local/azure-openai.ts'
import { type Call, type CallLog, openCallLog } from '../../../local/call-log.ts'
import { AZURE, GOOGLE } from '../../../local/identities.ts'
import { createPushTokens } from '../../../local/pubsub-push/push-tokens.ts'
import { SERVICE as PUSH_SERVICE } from '../../../local/pubsub-push/settings.ts'
import { createSigningKey } from '../../../local/signing-key.ts'
import type { StandIn } from '../../../local/stand-in.ts'
import { type Cloud, startCloud } from '../../support/stand-ins.ts'
import { type Backend, MAX_DELIVERIES, TOPICS } from './backend.ts'
import { type Crew, startCrew } from './crew.ts'
import { SIDES, type SideName } from './faults.ts'
import { isAcked, payloadOf } from './rules.ts'

export interface Stage extends AsyncDisposable {
  readonly cloud: Cloud
  /** Azure OpenAI resources beside the cloud's own, by the model that they serve. */
  readonly sides: ReadonlyMap<SideName, Side>
  readonly push: StandIn
  readonly crew: Crew
  readonly log: CallLog
  /** The totals of the pushes so far. */
  readonly progress: Progress
  readonly urls: readonly string[]
  /** A token such as Cloud Scheduler brings. */
  token(): Promise<string>
}

export interface Side {
  readonly standIn: StandIn
  /** Resolves when nothing is being done to it. */
  turn: Promise<void>
}

export interface Progress {
  /** Hashes of the payloads of jobs that were acknowledged. */
  readonly acked: ReadonlySet<string>
  /** Epoch milliseconds. */
  readonly lastPushAt: number
}

export interface StageParts {
  readonly folder: string
  readonly backend: Backend
  readonly workers: number
  /** Epoch milliseconds. */
  readonly now: () => number
  readonly signal: AbortSignal
}

export const JOBS_SUBSCRIPTION = `projects/${GOOGLE.projectId}/subscriptions/${TOPICS.jobs}-worker`
const LETTERS_SUBSCRIPTION = `projects/${GOOGLE.projectId}/subscriptions/${TOPICS.deadLetters}-worker`
const oidc = {
  audience: 'https://worker.example/push',
  serviceAccount: `push@${GOOGLE.projectId}.iam.gserviceaccount.com`,
}

/** Half of the worker’s setting: Pub/Sub may deliver again whenever it likes, and so a takeover takes seconds. */
const PUSH_DEADLINE_MS = 5_000
/** Tokens of which half a minute is left are good no more: so each worker needs one several times a minute. */
const TOKEN_LIFE_SECONDS = 45
/** Google's are taken to be old five minutes before they are. */
const ID_TOKEN_LIFE_SECONDS = 320

/** Attempts are short, so that leases are over and jobs are taken over within seconds. */
const WORKER_SETTINGS = {
  ...{ ACK_DEADLINE_SECONDS: '10', MODEL_TIMEOUT_SECONDS: '2', MAX_ATTEMPTS: '4' },
  ...{ JOBS_TOPIC: TOPICS.jobs, DEAD_LETTER_TOPIC: TOPICS.deadLetters, EVENTS_TOPIC: TOPICS.events },
  ...{ PUSH_AUTH: 'verify', PUSH_AUDIENCE: oidc.audience, PUSH_SERVICE_ACCOUNT: oidc.serviceAccount },
}

/** Starts the stand-ins, the deliveries and the workers. */
export async function setStage({ folder, backend, workers, now, signal }: StageParts): Promise<Stage> {
  await using started = new AsyncDisposableStack()
  const progress = { acked: new Set<string>(), lastPushAt: now() }
  const log = watched(
    started.adopt(await openCallLog(join(folder, 'calls.db')), (own) => own.close()),
    progress,
    now,
  )
  const cloud = started.use(
    await startCloud({
      log,
      metadata: { idTokenLifetimeSeconds: ID_TOKEN_LIFE_SECONDS },
      entra: { tokenLifetimeSeconds: TOKEN_LIFE_SECONDS, caPath: join(folder, 'entra.pem') },
      azure: { latency: { baseMs: 300, perOutputTokenMs: 2, spread: 0.9 } },
    }),
  )
  const tokenKeys = { tokenKeysUrl: cloud.entra.keysUrl, tokenKeysCaPem: cloud.entra.caPem }
  const sides = new Map<SideName, Side>()
  for (const name of SIDES) {
    const deployments = [{ ...DEFAULT_DEPLOYMENT, name }]
    const resource = await startAzureOpenAI({ log, ...tokenKeys, deployments, latency: { baseMs: 300 } })
    const standIn = started.adopt(resource, (own) => own.close())
    sides.set(name, { standIn, turn: Promise.resolve() })
  }
  const key = await createSigningKey()
  const ports = await Promise.all(Array.from({ length: workers }, freePort))
  const subscriptions = [
    { ...subscription(JOBS_SUBSCRIPTION, TOPICS.jobs, ports, '/push'), deadLetter: deadLetterPolicy },
    subscription(LETTERS_SUBSCRIPTION, TOPICS.deadLetters, ports, '/dead-letter'),
  ]
  const push = started.adopt(await backend.startPush({ key, log, subscriptions }), (own) => own.close())
  const { PATH = '', HOME = '' } = process.env
  const posts = ports.map((port, worker) => {
    const { AZURE_OPENAI_ENDPOINT: endpoint = '', AZURE_OPENAI_DEPLOYMENT: _, ...env } = cloud.env
    const settings = {
      ...env,
      DEPLOYMENTS: JSON.stringify([
        deployment(AZURE.deployment, endpoint),
        ...[...sides].map(([name, { standIn }]) => deployment(name, standIn.url)),
      ]),
      ...WORKER_SETTINGS,
      PUSH_CERTS_URL: push.certsUrl,
      ...backend.environmentOf(worker),
    }
    return { port, environment: { PATH, HOME, ...settings }, isLastRelease: worker === workers - 1 }
  })
  const crew = started.use(await startCrew(folder, posts, signal))
  const tokens = createPushTokens(key)
  const cleanups = started.move()
  return {
    ...{ cloud, sides, push, crew, log, progress },
    urls: ports.map((port) => `http://127.0.0.1:${port}`),
    token: () => tokens.valid(oidc, now()),
    [Symbol.asyncDispose]: () => cleanups.disposeAsync(),
  }
}

function deployment(name: string, endpoint: string) {
  return { model: name, endpoint, deployment: name }
}

const deadLetterPolicy = { topic: TOPICS.deadLetters, maxAttempts: MAX_DELIVERIES }

function subscription(name: string, topic: string, ports: readonly number[], path: string) {
  const [endpoint = '', ...alsoAt] = ports.map((port) => `http://127.0.0.1:${port}${path}`)
  const retry = { minBackoffMs: 200, maxBackoffMs: 2_000 }
  // Never one at a time: what happens at once is what is to be tried.
  const flow = { minOutstanding: 10, maxOutstanding: 40, minBackoffMs: 50, maxBackoffMs: 200 }
  return { name, topic, endpoint, alsoAt, oidc, ackDeadlineMs: PUSH_DEADLINE_MS, retry, flow }
}

/** Reports the progress from the log lines as they are written. */
function watched(log: CallLog, progress: { acked: Set<string>; lastPushAt: number }, now: () => number): CallLog {
  return {
    ...log,
    async record(call) {
      await log.record(call)
      if (call.service !== PUSH_SERVICE) return
      progress.lastPushAt = now()
      if (call.operation === JOBS_SUBSCRIPTION && isAcked(call)) progress.acked.add(payloadOf(call))
    },
  }
}

/** All calls of a service, page by page. */
export async function readCalls(log: CallLog, service: string): Promise<readonly Call[]> {
  const calls: Call[] = []
  for (;;) {
    const page = await log.read({ service, after: calls.at(-1)?.id })
    if (page.length === 0) return calls
    calls.push(...page)
  }
}
