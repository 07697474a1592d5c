import type { Hono } from 'hono'
import { type Config, ConfigError } from '../shared/config/config.ts'
import { createAccessTokenSource } from '../shared/identity/access-token-source.ts'
import { openTokenFetcher } from '../shared/identity/token-fetcher.ts'
import { createAzureOpenAI } from '../shared/models/azure-openai/azure-openai.ts'
import { diagnose } from '../shared/models/azure-openai/explain-refused-token.ts'
import { createBearerProvider } from '../shared/models/bearer-provider.ts'
import { isSetUpFault } from '../shared/models/circuit.ts'
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
import { createReadyCheck } from './http/ready-check.ts'
import { createServer } from './http/server.ts'
import type { JobProcessing } from './jobs/process-job.ts'
import { createReceiver } from './jobs/receive.ts'
import { createBatchControls } from './limits/batch-controls.ts'
import { createDailyBudget } from './limits/daily-budget.ts'
import { createMissingEpisodes } from './limits/missing-episodes.ts'
import { createHeartbeat } from './observe/heartbeat.ts'
import type { Log } from './observe/log.ts'
import { createFailureTelemetry } from './observe/token-telemetry.ts'
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
  /** Answers one HTTP request. */
  readonly fetch: Hono['fetch']
  readonly drain: Drain
  /** Resolves when no job is under way. */
  idle(): Promise<void>
  /** Closes the stores. */
  close(): Promise<void>
}

/** Revisions of a Cloud Run service overlap for some minutes, and may serve different models. */
const ROLLOUT_MS = 10 * 60_000

/** Builds a worker from its settings. Rejects with ConfigError where the store cannot be opened. */
export async function composeWorker(config: Config, dependencies: Dependencies): Promise<Worker> {
  const { log, now, elapsed, random, newOwner, instance, onCloudRun } = dependencies
  const { apiVersion, federation } = config
  const stores = await openStoresOf(config, dependencies)
  const { documents, batches, dailyTokens, queue, telemetry: store } = stores
  const keeping = { letters: stores.deadLetters, ttlMs: config.resultTtlMs, now }
  const drain = createDrain()
  const telemetry = createFailureTelemetry({ store, instance, ttlMs: config.resultTtlMs, now, newId: newOwner, log })
  const tokens = createAccessTokenSource({
    fetchToken: openTokenFetcher(config, now),
    diagnose: (error) => diagnose(error, federation),
    now,
    random,
    observer: telemetry,
  })
  const circuits = createCircuits(now, random, {
    async opened(deployment, failure, nextTryAt) {
      const { kind: reason, message: problem, hint } = failure
      log.warn(
        { outcome: 'circuit_opened', deployment, reason, problem, hint, nextTryAt },
        `circuit opened: ${deployment}`,
      )
      if (!isSetUpFault(reason)) return
      await telemetry.denied(deployment, failure, nextTryAt, tokens.status().validForMs)
    },
    async closed(deployment) {
      log.info({ outcome: 'circuit_closed', deployment }, `circuit closed: ${deployment}`)
      await telemetry.accessRestored(deployment)
    },
  })
  const controls = createBatchControls({ read: batches.read, later, now, log })
  const announcing = { queue, topic: config.eventsTopic, project: config.project, log }
  const { dailyTokenLimit } = config
  const daily = createDailyBudget({ limit: dailyTokenLimit, read: dailyTokens.read, now, log })
  const processing: JobProcessing = {
    controls,
    daily,
    store: createJobStore(documents, config.resultTtlMs),
    deadLetter: createDeadLettering({ ...keeping, queue, topic: config.deadLetterTopic, log }),
    announce: createAnnouncer(announcing),
    circuits,
    missing: createMissingEpisodes({ store: stores.missingDeployments, now, log }),
    provider: createBearerProvider(tokens, createAzureOpenAI({ apiVersion, federation, now })),
    deployments: config.deployments,
    maxOutputTokens: config.maxOutputTokens,
    allowedBodyFields: config.allowedBodyFields,
    rolloutMs: instance.revision === undefined ? 0 : ROLLOUT_MS,
    modelTimeoutMs: config.modelTimeoutMs,
    retry: config.retry,
    maxJobAgeMs: config.maxJobAgeMs,
    newOwner,
    random,
    elapsed,
    drain,
    now,
    log,
  }
  const { ackDeadlineMs, maxInFlight, pushAuth, pushCertsUrl: certsUrl, project } = config
  const receiver = createReceiver({ processing, ackDeadlineMs, maxInFlight })
  const recording = {
    ...keeping,
    records: documents,
    publishJob: (message: Message) => queue.publish(config.jobsTopic, message),
    announce: processing.announce,
    maxJobAgeMs: config.maxJobAgeMs,
    retry: config.retry,
  }
  const heartbeat = createHeartbeat({
    store,
    instance,
    models: config.deployments.map(({ model }) => model),
    tokens,
    inFlight: () => receiver.inFlight(),
    flush: () => telemetry.flush(),
    now,
    log,
  })
  const authenticate = createPushAuthenticator({ pushAuth, certsUrl, onCloudRun, now })
  const sweep = createSweep({
    ...{ documents, batches, announce: createBatchAnnouncer(announcing) },
    // Not needed where a day has no limit.
    dailyTokens: dailyTokenLimit === undefined ? undefined : dailyTokens,
    ...{ retry: config.retry, resultTtlMs: config.resultTtlMs, maxJobAgeMs: config.maxJobAgeMs, drain, now, log },
  })
  const checkStore = createReadyCheck(() => documents.read('any'), now)
  const bytes = createBytesInFlight(config.maxInFlightBytes)
  const serverDependencies = {
    authenticate,
    receiver,
    recording,
    bytes,
    sweep,
    drain,
    heartbeat,
    checkStore,
    project,
    log,
    now,
  }
  const { fetch } = createServer(serverDependencies)
  return {
    fetch,
    drain,
    idle: () => receiver.idle(),
    close: () => stores.close(),
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
