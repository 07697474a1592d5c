import { type AccessTokenSource, createAccessTokenSource } from '../../../shared/identity/access-token-source.ts'
import { TokenError } from '../../../shared/identity/token-error.ts'
import type { AskWithToken } from '../../../shared/models/bearer-provider.ts'
import { type CircuitObserver, type Circuits, createCircuits } from '../../../shared/models/circuits.ts'
import type { ModelReply, ModelRequest } from '../../../shared/models/provider.ts'
import { QueueError } from '../../../shared/queues/job-queue.ts'
import type { Database } from '../../../shared/stores/firestore/database.ts'
import { createFirestoreBatches } from '../../../shared/stores/firestore/firestore-batches.ts'
import { createFirestoreDailyTokens } from '../../../shared/stores/firestore/firestore-daily-tokens.ts'
import { createFirestoreDeadLetters } from '../../../shared/stores/firestore/firestore-dead-letters.ts'
import { createFirestoreDocuments } from '../../../shared/stores/firestore/firestore-documents.ts'
import { createJobStore } from '../../../shared/stores/job-store/create-job-store.ts'
import { StoreError } from '../../../shared/stores/job-store.ts'
import { createDeadLettering } from '../../../worker/dead-letters/keep.ts'
import { recordDeadLetter } from '../../../worker/dead-letters/record.ts'
import { createDrain } from '../../../worker/delivery/drain.ts'
import { storeFailure } from '../../../worker/delivery/failures.ts'
import type { Outcome } from '../../../worker/delivery/outcome.ts'
import { createAnnouncer, createBatchAnnouncer } from '../../../worker/events/announce.ts'
import { createReceiver, type ReceiveDependencies, type Receiver } from '../../../worker/jobs/receive.ts'
import { createBatchControls } from '../../../worker/limits/batch-controls.ts'
import { createDailyBudget } from '../../../worker/limits/daily-budget.ts'
import type { Log } from '../../../worker/observe/log.ts'
import { createSweep } from '../../../worker/sweep/sweep.ts'
import { type JobParts, jobDependencies } from '../../support/job-dependencies.ts'

const thisVersion = {
  ...{ createAccessTokenSource, TokenError, QueueError, StoreError, createJobStore, createFirestoreBatches },
  ...{ createFirestoreDailyTokens, createFirestoreDeadLetters, createFirestoreDocuments, createBatchControls },
  ...{ createDailyBudget, createDrain, createAnnouncer, createBatchAnnouncer, createDeadLettering },
  ...{ createCircuits, recordDeadLetter, storeFailure, createSweep },
}

type ReceiveLimits = Omit<ReceiveDependencies, 'jobs'>

interface OnlyOfLastRelease {
  readonly tokens: AccessTokenSource
  readonly ask: AskWithToken
  readonly log: Log
}

/** What a worker is composed of. */
export interface Release {
  readonly parts: typeof thisVersion
  readonly receive: (parts: JobParts, limits: ReceiveLimits, more: OnlyOfLastRelease) => Receiver
  /** A database as its adapters ask it. */
  readonly asked: (database: Database) => Database
  /** What it reads of a model's reply. */
  readonly reads: (reply: ModelReply) => ModelReply
}

/** The last release called a circuit a gate: its gate is closed while the circuit is open. */
interface LastVersion extends Omit<typeof thisVersion, 'createCircuits'> {
  createDeploymentGates(
    now: () => number,
    random: () => number,
    watch: { readonly closed: CircuitObserver['opened']; readonly opened: CircuitObserver['closed'] },
  ): Circuits
  createReceiver(receiving: ReceiveLimits & { readonly processing: object }): Receiver
}

/** Bundled from its source, so that it stays as it was. It takes what this version takes, and leaves out what it does not know. */
const lastVersion: LastVersion = await import(new URL('../../fixtures/last-release-parts.mjs', import.meta.url).href)

const lastParts: typeof thisVersion = {
  ...lastVersion,
  createCircuits: (now, random, { opened, closed }) =>
    lastVersion.createDeploymentGates(now, random, { closed: opened, opened: closed }),
  recordDeadLetter: async (...letter) => withLogFields(await lastVersion.recordDeadLetter(...letter)),
}

/** The last release called the log fields of an outcome facts. */
function withLogFields(outcome: Outcome): Outcome {
  return Object.assign({}, outcome, { logFields: Reflect.get(outcome, 'facts') })
}

/** The last release gave each request its token, and reported to the source itself what became of it. */
function receiveAsLastRelease(parts: JobParts, limits: ReceiveLimits, more: OnlyOfLastRelease): Receiver {
  const { tokens, ask, log } = more
  const provider = {
    ask: ({ token, ...request }: ModelRequest & { token: string }, signal: AbortSignal) => ask(request, token, signal),
  }
  const processing = { ...parts, gates: parts.circuits, tokens, provider, log }
  const receiver = lastVersion.createReceiver({ ...limits, processing })
  return { ...receiver, receive: async (...push) => withLogFields(await receiver.receive(...push)) }
}

function receive(parts: JobParts, limits: ReceiveLimits): Receiver {
  return createReceiver({ ...limits, jobs: jobDependencies(parts) })
}

export const releases: Readonly<Record<'this' | 'last', Release>> = {
  this: { parts: thisVersion, receive, asked: (database) => database, reads: (reply) => reply },
  last: { parts: lastParts, receive: receiveAsLastRelease, asked: asLastReleaseAsks, reads: asLastReleaseReads },
}

/** The last release took the fields alone of what it found by time, and gave no range but its beginning. */
function asLastReleaseAsks(database: Database): Database {
  const since = async (collection: string, field: string, from: unknown, limit: unknown, direction: unknown) => {
    const found = await database.since(collection, field, {
      since: Number(from),
      limit: typeof limit === 'number' ? limit : undefined,
      direction: direction === 'ASCENDING' ? 'ASCENDING' : 'DESCENDING',
    })
    return found.map(({ fields }) => fields)
  }
  return Object.assign({ ...database }, { since })
}

/** As its adapter for Azure did: every server error may have been billed, and an answer must have a usage. */
function asLastReleaseReads(reply: ModelReply): ModelReply {
  if (reply.ok) return reply.usage === undefined ? lost(reply.httpStatus) : reply
  const { kind, httpStatus = 0, message } = reply.failure
  if (kind === 'unavailable') return httpStatus >= 500 ? lost(httpStatus) : failed('rejected', httpStatus, message)
  return kind === 'forbidden' && httpStatus < 400 ? failed('unreachable', httpStatus, message) : reply
}

function lost(httpStatus: number): ModelReply {
  return failed('ambiguous', httpStatus, 'no whole answer came')
}

function failed(kind: 'ambiguous' | 'rejected' | 'unreachable', httpStatus: number, message: string): ModelReply {
  return { ok: false, failure: { kind, httpStatus, message } }
}
