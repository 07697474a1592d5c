import type { RequestListener } from 'node:http'
import type { Config } from '../shared/config/config.ts'
import { ConfigError } from '../shared/config/config-error.ts'
import { readPrices } from '../shared/config/prices.ts'
import { createAccessTokenSource } from '../shared/identity/access-token-source.ts'
import { openTokenFetcher } from '../shared/identity/token-fetcher.ts'
import { createAzureOpenAI } from '../shared/models/azure-openai/azure-openai.ts'
import { diagnose } from '../shared/models/azure-openai/explain-refused-token.ts'
import { createBearerProvider } from '../shared/models/bearer-provider.ts'
import { createCircuits } from '../shared/models/circuits.ts'
import type { Message } from '../shared/queues/job-queue.ts'
import { createJobStore } from '../shared/stores/job-store/create-job-store.ts'
import { openWorkerStores, type StoreDependencies, type Stores } from '../shared/stores/open.ts'
import type { Instance } from '../shared/stores/telemetry-store.ts'
import { createDeadLettering } from './dead-letters/keep.ts'
import { createBytesInFlight } from './delivery/bytes-in-flight.ts'
import { createDrain, type Drain } from './delivery/drain.ts'
import { createAnnouncer, createBatchAnnouncer } from './events/announce.ts'
import { createPushAuthenticator } from './http/authenticate.ts'
import { createPushRoutes } from './http/push-routes.ts'
import { createReadyCheck } from './http/ready-check.ts'
import { createRequestListener } from './http/request-listener.ts'
import { createServer } from './http/server.ts'
import type { JobDependencies } from './jobs/process-job.ts'
import { createReceiver } from './jobs/receive.ts'
import { createBatchControls } from './limits/batch-controls.ts'
import { createDailyBudget } from './limits/daily-budget.ts'
import { createMissingEpisodes } from './limits/missing-episodes.ts'
import { createPauses } from './limits/pauses.ts'
import type { Log } from './observe/log.ts'
import { createObserver } from './observe/observer.ts'
import type { Embedded } from './pull/embedded.ts'
import { createSweep } from './sweep/sweep.ts'

/** What a worker takes from the process it runs in. */
export interface Dependencies extends StoreDependencies {
  readonly log: Log
  /** Milliseconds by a clock that is never set. */
  readonly elapsed: () => number
  /** 0 to 1. */
  readonly random: () => number
  /** Makes the nonce that names one claim. */
  readonly newOwner: () => string
  /** As its telemetry names this process. */
  readonly instance: Instance
  /** Whether Cloud Run stands before this process. */
  readonly onCloudRun: boolean
}

export interface Worker {
  /** Answers HTTP requests. */
  readonly listener: RequestListener
  readonly drain: Drain
  /**
   * Begins to deliver the messages of a SQLite file, to sweep and to bound its events. Does nothing on Pub/Sub, which pushes.
   * Rejects with SQLite's error.
   */
  start(): Promise<void>
  /** Resolves when no job is under way, and a worker that delivers itself has stopped. */
  idle(): Promise<void>
  /** Closes the stores. */
  close(): Promise<void>
}

/** Revisions of a Cloud Run service overlap for some minutes, and may serve different models. */
const ROLLOUT_MS = 10 * 60_000

/** Builds a worker from its settings. Rejects with ConfigError where the store cannot be opened. */
export async function composeWorker(config: Config, dependencies: Dependencies): Promise<Worker> {
  const { log, now, elapsed, random, newOwner, instance, onCloudRun } = dependencies
  const stores = await openStoresOf(config, dependencies)
  const { documents, batches, dailyTokens, queue, telemetry: store } = stores
  const {
    apiVersion,
    federation,
    deployments,
    retry,
    maxJobAgeMs,
    modelTimeoutMs,
    resultTtlMs: ttlMs,
    project,
  } = config
  const keeping = { letters: stores.deadLetters, ttlMs, now }
  const drain = createDrain()
  const observer = createObserver({
    log,
    store,
    instance,
    ttlMs,
    project,
    now,
    newId: newOwner,
    models: deployments.map(({ model }) => model),
    tokens: { status: () => tokens.status() },
    inFlight: () => receiver.inFlight(),
  })
  const tokens = createAccessTokenSource({
    fetchToken: openTokenFetcher(config, now),
    diagnose: (error) => diagnose(error, federation),
    now,
    random,
    observer: observer.tokens,
  })
  const announcing = { queue, topic: config.eventsTopic, project, log }
  const announce = createAnnouncer({ ...announcing, prices: readPrices(config.pricesFile) })
  const { dailyTokenLimit, maxOutputTokens, allowedBodyFields } = config
  const rolloutMs = instance.revision === undefined ? 0 : ROLLOUT_MS
  const circuits = createCircuits(now, random, observer.circuits)
  const daily = createDailyBudget({ limit: dailyTokenLimit, read: dailyTokens.read, now, log })
  const missing = createMissingEpisodes({ store: stores.missingDeployments, now, log })
  const pauses = createPauses({ store: stores.pausedDeployments, now, log })
  const provider = createBearerProvider(tokens, createAzureOpenAI({ apiVersion, federation, now }))
  const jobStore = createJobStore(documents, ttlMs)
  const deadLetter = createDeadLettering({ ...keeping, queue, topic: config.deadLetterTopic, log })
  const jobs: JobDependencies = {
    controls: createBatchControls({ read: batches.read, later, now, log }),
    observer,
    plan: { deployments, circuits, maxOutputTokens, allowedBodyFields, rolloutMs, now },
    admit: { provider, circuits, daily, pauses, drain, modelTimeoutMs, now },
    run: {
      claim: { store: jobStore, retry, maxJobAgeMs, modelTimeoutMs, newOwner, now, elapsed },
      ask: { provider, circuits, missing, drain, now },
      settle: { store: jobStore, deadLetter, announce, now },
      daily,
      random,
    },
  }
  const { ackDeadlineMs, maxInFlight, pushAuth, pushCertsUrl: certsUrl } = config
  const receiver = createReceiver({ jobs, ackDeadlineMs, maxInFlight })
  const publishJob = (message: Message) => queue.publish(config.jobsTopic, message)
  const recording = { ...keeping, records: documents, publishJob, announce, maxJobAgeMs, retry }
  const authenticate = createPushAuthenticator({ pushAuth, certsUrl, onCloudRun, now })
  const sweep = createSweep({
    documents,
    batches,
    announce: createBatchAnnouncer(announcing),
    // Not needed if a day has no limit.
    dailyTokens: dailyTokenLimit === undefined ? undefined : dailyTokens,
    retry,
    resultTtlMs: ttlMs,
    maxJobAgeMs,
    drain,
    now,
    log,
  })
  const checkStore = createReadyCheck(() => documents.read('any'), now)
  const bytes = createBytesInFlight(config.maxInFlightBytes)
  const app = createServer({ authenticate, sweep, drain, observer, checkStore })
  const pushRoutes = createPushRoutes({ authenticate, receiver, recording, bytes, drain, observer, now })
  let embedded: Embedded | undefined
  return {
    listener: createRequestListener(app, pushRoutes, drain),
    drain,
    async start() {
      if (config.store.kind !== 'sqlite') return
      const { startEmbedded } = await import('./pull/embedded.ts')
      const parts = { config, receiver, recording, bytes, sweep, drain, observer, now }
      embedded = await startEmbedded(config.store.path, parts)
    },
    async idle() {
      await Promise.all([receiver.idle(), embedded?.ended])
    },
    async close() {
      await embedded?.close()
      await stores.close()
    },
  }
}

function later(call: () => void, ms: number): () => void {
  const timer = setTimeout(call, ms)
  return () => clearTimeout(timer)
}

async function openStoresOf({ store }: Config, dependencies: Dependencies): Promise<Stores> {
  try {
    return await openWorkerStores(store, dependencies)
  } catch (error) {
    if (store.kind !== 'sqlite') throw error
    const problem = 'the database file cannot be opened. Does its folder exist, and may this process write there?'
    throw new ConfigError([`STORE: ${problem}`])
  }
}
