import type { Failure, RetryPolicy } from '../../../shared/job/failures.ts'
import { createBearerProvider } from '../../../shared/models/bearer-provider.ts'
import type { CircuitObserver } from '../../../shared/models/circuits.ts'
import type { Message } from '../../../shared/queues/job-queue.ts'
import type { BatchStore } from '../../../shared/stores/batch-store.ts'
import { createFirestoreMissingDeployments } from '../../../shared/stores/firestore/firestore-missing-deployments.ts'
import { createFirestorePausedDeployments } from '../../../shared/stores/firestore/firestore-paused-deployments.ts'
import type { ParsedDelivery } from '../../../worker/delivery/delivery.ts'
import { createMissingEpisodes } from '../../../worker/limits/missing-episodes.ts'
import { createPauses } from '../../../worker/limits/pauses.ts'
import { createLog } from '../../../worker/observe/log.ts'
import type { JobParts } from '../../support/job-dependencies.ts'
import { NO_OBSERVER } from '../../support/job-processing.ts'
import { count, type Exercised } from './exercised.ts'
import type { FakeFirestore } from './fake-database.ts'
import { createModel } from './fake-model.ts'
import type { PubSub } from './fake-pubsub.ts'
import type { Monitor } from './monitor.ts'
import { createObservedStore } from './observe-store.ts'
import { type Release, releases } from './releases.ts'
import { ACK_DEADLINE_MS, GOOD, MAX_ATTEMPTS, MAX_JOB_AGE_MS, MODEL_TIMEOUT_MS, OTHER, SPARE } from './settings.ts'
import { createTokenLedger, type TokenLedger } from './token-ledger.ts'
import { overWire, type Wire, type WireParts } from './wire.ts'
import type { Process } from './world.ts'

export const TOPICS = { jobs: 'jobs', dead: 'dead', events: 'events' } as const
/** Writes nothing: the history records what happened. */
const log = createLog('silent', { write: () => undefined })
const TTL_MS = 30 * 24 * 60 * 60_000
const TOKEN_LIFE_MS = 15 * 60_000

/** What all workers of a history share. */
export interface Installation extends WireParts {
  readonly firestore: FakeFirestore
  readonly pubsub: PubSub
  readonly monitor: Monitor
  /** All that were ever started, by their names. */
  readonly processes: Map<string, Process>
  readonly onUnknown: RetryPolicy['onUnknown']
  /** Whether a second deployment serves the first one's model. */
  readonly hasSpare: boolean
}

/**
 * Composes a worker as `worker/compose.ts` does, of the same parts; under it lie the simulation's Firestore, Pub/Sub, Entra
 * and model.
 */
export function composeSimWorker(installation: Installation, process: Process, wire: Wire) {
  const { world, firestore, pubsub, monitor, exercised, onUnknown, hasSpare } = installation
  const release = releases[process.release]
  const { parts } = release
  const now = () => world.now() + process.skewMs
  const { next: random } = world.random
  const drain = parts.createDrain()
  const breach = monitor.breachBy(process)
  const whenAway = (why: string) => new parts.StoreError('unavailable', why)
  const database = overWire(firestore.connect(process), wire, monitor.flushed(process), whenAway)
  const asked = release.asked(database)
  const documents = parts.createFirestoreDocuments(asked)
  const batches = parts.createFirestoreBatches(asked)
  const keeping = { letters: parts.createFirestoreDeadLetters(asked), ttlMs: TTL_MS, now }
  const queue = queueOver(pubsub, wire, parts)
  const retry = { maxAttempts: MAX_ATTEMPTS, onUnknown }
  const announcing = { queue, topic: TOPICS.events, project: undefined, log }
  const ledger = createTokenLedger((what) => breach('good-resource-flows', `${process.name}: ${what}`))
  const tokens = parts.createAccessTokenSource({
    fetchToken: tokenFetcher(wire, ledger, now, parts),
    diagnose: () => ({ nature: 'passing', hint: '' }),
    ...{ now, random },
  })
  const ask = createModel(installation, process, wire, {
    sending: (requestId, deployment) => monitor.sending(requestId, deployment, process),
    taken: monitor.taken,
    replied: ledger.replied,
    reads: release.reads,
  })
  let owners = 0
  const dailyTokens = parts.createFirestoreDailyTokens(asked)
  const jobParts: JobParts = {
    controls: parts.createBatchControls({ read: observedReader(batches, process, monitor), later, now, log }),
    daily: parts.createDailyBudget({ limit: undefined, read: dailyTokens.read, now, log }),
    store: createObservedStore(documents, TTL_MS, {
      firestore,
      exercised,
      breach,
      createJobStore: parts.createJobStore,
    }),
    deadLetter: parts.createDeadLettering({ ...keeping, queue, topic: TOPICS.dead, log }),
    announce: parts.createAnnouncer(announcing),
    circuits: parts.createCircuits(now, random, circuitObserver(exercised)),
    pauses: createPauses({ store: createFirestorePausedDeployments(database), now, log }),
    missing: createMissingEpisodes({ store: createFirestoreMissingDeployments(database, now), now, log }),
    provider: createBearerProvider(tokens, ask),
    observer: NO_OBSERVER,
    deployments: hasSpare ? [GOOD, SPARE, OTHER] : [GOOD, OTHER],
    maxOutputTokens: 1_000,
    allowedBodyFields: [],
    rolloutMs: 0,
    modelTimeoutMs: MODEL_TIMEOUT_MS,
    retry,
    maxJobAgeMs: MAX_JOB_AGE_MS,
    newOwner: () => `${process.name}:${++owners}`,
    random,
    elapsed: world.now,
    drain,
    now,
  }
  const { announce } = jobParts
  const recording = {
    ...keeping,
    records: documents,
    publishJob: (message: Message) => queue.publish(TOPICS.jobs, message),
    ...{ announce, maxJobAgeMs: MAX_JOB_AGE_MS, retry },
  }
  return {
    now,
    drain,
    receiver: release.receive(jobParts, { ackDeadlineMs: ACK_DEADLINE_MS, maxInFlight: 100 }, { tokens, ask, log }),
    recordDeadLetter: (read: ParsedDelivery) => parts.recordDeadLetter(recording, read),
    sweep: parts.createSweep({
      ...{ documents, batches, announce: parts.createBatchAnnouncer(announcing), dailyTokens: undefined },
      ...{ retry, resultTtlMs: TTL_MS, maxJobAgeMs: MAX_JOB_AGE_MS, drain, now, log },
    }),
    isStoreFailure: (error: unknown) => parts.storeFailure(error) !== undefined,
  }
}

export type SimWorker = ReturnType<typeof composeSimWorker>

/** The topics as one process reaches them. */
export function queueOver(pubsub: PubSub, wire: Wire, { QueueError }: Pick<Release['parts'], 'QueueError'>) {
  return {
    publish: (topic: string, message: Message) =>
      wire.call({
        ...{ port: 'queue', label: `publish to ${topic}` },
        apply: async () => pubsub.publish(topic, message),
        away: (why) => new QueueError('unavailable', why),
      }),
  }
}

function tokenFetcher(wire: Wire, ledger: TokenLedger, now: () => number, { TokenError }: Release['parts']) {
  let made = 0
  const make = async () => {
    made += 1
    return { value: `token-${made}`, fetchedAt: now(), expiresAt: now() + TOKEN_LIFE_MS }
  }
  return async () => {
    ledger.exchanging(now())
    const away = (why: string) => new TokenError('entra_exchange', why)
    const token = await wire.call({ port: 'token', label: 'fetch a token', apply: make, away })
    ledger.fetched(token)
    return token
  }
}

function circuitObserver(exercised: Exercised): CircuitObserver {
  return {
    opened: async (_, failure) => count(exercised, `circuit opened: ${openedBy(failure)}`),
    closed: async () => count(exercised, 'circuit closed'),
  }
}

function openedBy({ kind, retryAfterMs }: Failure) {
  switch (kind) {
    case 'unavailable':
      return retryAfterMs ? 'time to wait' : 'faults'
    case 'forbidden':
    case 'no_deployment':
    case 'unauthorized':
      return kind
    default:
      return 'faults'
  }
}

function observedReader(batches: Pick<BatchStore, 'read'>, process: Process, monitor: Monitor): BatchStore['read'] {
  return async (name) => {
    const batch = await batches.read(name)
    if (batch?.cancelledAt !== undefined) monitor.heardOfCancel(process, name)
    return batch
  }
}

function later(call: () => void, ms: number): () => void {
  const timer = setTimeout(call, ms)
  return () => clearTimeout(timer)
}
