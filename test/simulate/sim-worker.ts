import { createAccessTokenSource } from '../../shared/identity/access-token-source.ts'
import { TokenError } from '../../shared/identity/token-error.ts'
import type { RetryPolicy } from '../../shared/job/failures.ts'
import { createLog } from '../../shared/log.ts'
import { type Message, QueueError } from '../../shared/queue/job-queue.ts'
import type { BatchStore } from '../../shared/store/batch-store.ts'
import { createFirestoreBatches } from '../../shared/store/firestore/firestore-batches.ts'
import { createFirestoreDailyTokens } from '../../shared/store/firestore/firestore-daily-tokens.ts'
import { createFirestoreDeadLetters } from '../../shared/store/firestore/firestore-dead-letters.ts'
import { createFirestoreDocuments } from '../../shared/store/firestore/firestore-documents.ts'
import { createFirestoreMissingDeployments } from '../../shared/store/firestore/firestore-missing-deployments.ts'
import { createBatchControls } from '../../worker/batch-controls.ts'
import { createDailyBudget } from '../../worker/daily-budget.ts'
import { createDrain } from '../../worker/drain.ts'
import { createAnnouncer, createBatchAnnouncer } from '../../worker/events/announce.ts'
import { createDeadLettering } from '../../worker/keep-dead-letter.ts'
import { createDeploymentGates } from '../../worker/model/deployment-gates.ts'
import { createMissingEpisodes } from '../../worker/model/missing-episodes.ts'
import type { JobProcessing } from '../../worker/process-job.ts'
import { createReceiver } from '../../worker/receive-push.ts'
import { createSweep } from '../../worker/sweep.ts'
import type { FakeFirestore } from './fake-database.ts'
import { createModel } from './fake-model.ts'
import type { PubSub } from './fake-pubsub.ts'
import type { Monitor } from './monitor.ts'
import { createObservedStore } from './observe-store.ts'
import { ACK_DEADLINE_MS, MAX_ATTEMPTS, MAX_JOB_AGE_MS, MODEL_TIMEOUT_MS } from './settings.ts'
import { overWire, type Wire, type WireParts } from './wire.ts'
import type { Process } from './world.ts'

export const TOPICS = { jobs: 'jobs', dead: 'dead', events: 'events' } as const
/** Nobody reads it: the history tells what happened. */
const log = createLog('silent', { write: () => undefined })
const TTL_MS = 30 * 24 * 60 * 60_000
const TOKEN_LIFE_MS = 15 * 60_000
const DEPLOYMENT = { model: 'm', endpoint: 'http://127.0.0.1', deployment: 'd', priority: 1 }

/** What all workers of a history share. */
export interface Installation extends WireParts {
  readonly firestore: FakeFirestore
  readonly pubsub: PubSub
  readonly monitor: Monitor
  /** All that were ever started, by their names. */
  readonly processes: Map<string, Process>
  readonly onUnknown: RetryPolicy['onUnknown']
}

/**
 * Composes a worker as `worker/compose.ts` does, of the same parts; under it lie the simulation's Firestore, Pub/Sub, Entra
 * and model.
 */
export function composeSimWorker(installation: Installation, process: Process, wire: Wire) {
  const { world, firestore, pubsub, monitor, onUnknown } = installation
  const now = () => world.now() + process.skewMs
  const { next: random } = world.random
  const drain = createDrain()
  const database = overWire(firestore.connect(), wire, monitor.flushed(process))
  const documents = createFirestoreDocuments(database)
  const batches = createFirestoreBatches(database)
  const keeping = { letters: createFirestoreDeadLetters(database), ttlMs: TTL_MS, now }
  const queue = queueOver(pubsub, wire)
  const retry = { maxAttempts: MAX_ATTEMPTS, onUnknown }
  const announcing = { queue, topic: TOPICS.events, project: undefined, log }
  const tokens = createAccessTokenSource({
    ...{ fetchToken: tokenFetcher(wire, now), diagnose: () => ({ nature: 'passing', hint: '' }) as const, now, random },
  })
  let owners = 0
  const processing: JobProcessing = {
    controls: createBatchControls({ read: heedingReader(batches, process, monitor), later, now, log }),
    daily: createDailyBudget({ limit: undefined, read: createFirestoreDailyTokens(database).read, now, log }),
    store: createObservedStore(documents, TTL_MS, installation),
    deadLetter: createDeadLettering({ ...keeping, queue, topic: TOPICS.dead, log }),
    announce: createAnnouncer(announcing),
    tokens,
    gates: createDeploymentGates(now, random, { closed: async () => undefined, opened: async () => undefined }),
    missing: createMissingEpisodes({ store: createFirestoreMissingDeployments(database, now), now, log }),
    provider: createModel(installation, process, wire, {
      sending: (requestId) => monitor.sending(requestId, process),
      taken: monitor.taken,
    }),
    deployments: [DEPLOYMENT],
    ...{ maxOutputTokens: 1_000, rolloutMs: 0, modelTimeoutMs: MODEL_TIMEOUT_MS, retry, maxJobAgeMs: MAX_JOB_AGE_MS },
    newOwner: () => `${process.name}:${++owners}`,
    random,
    elapsed: world.now,
    ...{ drain, now, log },
  }
  return {
    now,
    drain,
    receiver: createReceiver({ processing, ackDeadlineMs: ACK_DEADLINE_MS, maxInFlight: 100 }),
    recording: {
      ...keeping,
      records: documents,
      publishJob: (message: Message) => queue.publish(TOPICS.jobs, message),
      ...{ announce: processing.announce, maxJobAgeMs: MAX_JOB_AGE_MS, retry },
    },
    sweep: createSweep({
      ...{ documents, batches, announce: createBatchAnnouncer(announcing), dailyTokens: undefined },
      ...{ retry, resultTtlMs: TTL_MS, maxJobAgeMs: MAX_JOB_AGE_MS, drain, now, log },
    }),
  }
}

export type SimWorker = ReturnType<typeof composeSimWorker>

/** The topics as one process reaches them. */
export function queueOver(pubsub: PubSub, wire: Wire) {
  return {
    publish: (topic: string, message: Message) =>
      wire.call({
        ...{ port: 'queue', label: `publish to ${topic}` },
        apply: async () => pubsub.publish(topic, message),
        away: (why) => new QueueError('unavailable', why),
      }),
  }
}

function tokenFetcher(wire: Wire, now: () => number) {
  let fetched = 0
  return () =>
    wire.call({
      ...{ port: 'token', label: 'fetch a token' },
      apply: async () => {
        fetched += 1
        return { value: `token-${fetched}`, fetchedAt: now(), expiresAt: now() + TOKEN_LIFE_MS }
      },
      away: (why) => new TokenError('entra_exchange', why),
    })
}

function heedingReader(batches: Pick<BatchStore, 'read'>, process: Process, monitor: Monitor): BatchStore['read'] {
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
