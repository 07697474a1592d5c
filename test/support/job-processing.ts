import assert from 'node:assert/strict'
import type { Deployment } from '../../shared/config/deployments.ts'
import type { AccessTokenSource } from '../../shared/identity/access-token-source.ts'
import { createCircuits } from '../../shared/models/circuits.ts'
import type { ModelProvider, Send } from '../../shared/models/provider.ts'
import { createJobStore } from '../../shared/stores/job-store/create-job-store.ts'
import type { RecordDocuments } from '../../shared/stores/record-documents.ts'
import { createDrain } from '../../worker/delivery/drain.ts'
import { type Seat, takeSeat } from '../../worker/jobs/candidates.ts'
import type { BatchControls, Watch } from '../../worker/limits/batch-controls.ts'
import type { DailyBudget } from '../../worker/limits/daily-budget.ts'
import type { MissingEpisodes } from '../../worker/limits/missing-episodes.ts'
import type { Pauses } from '../../worker/limits/pauses.ts'
import type { Observer } from '../../worker/observe/observer.ts'
import { aDeployment } from './deployment-builders.ts'
import type { JobParts } from './job-dependencies.ts'

const DEPLOYMENT = aDeployment({ model: 'm', endpoint: 'http://127.0.0.1', deployment: 'd' })

/** What jobs need over a store, with a model that answers at once; `asked` gathers the requests it was sent. */
export function partsOver(
  documents: RecordDocuments,
  asked: string[],
  deadLetter: JobParts['deadLetter'] = async () => assert.fail('nothing is to be dead-lettered'),
): JobParts {
  const usage = { promptTokens: 1, completionTokens: 1 }
  return {
    store: createJobStore(documents, 1_000),
    controls: controlsOf(),
    daily: NO_DAILY_LIMIT,
    pauses: NO_PAUSES,
    deadLetter,
    announce: async () => undefined,
    circuits: circuitsOf(Date.now),
    missing: NEVER_MISSING,
    provider: providerOf(async ({ clientRequestId }) => {
      asked.push(clientRequestId)
      return { ok: true, text: '{}', usage, finishReason: 'stop', httpStatus: 200, requestId: 'r' }
    }),
    deployments: [DEPLOYMENT],
    retry: { maxAttempts: 5, onUnknown: 'retry' },
    maxJobAgeMs: 7 * 86_400_000,
    modelTimeoutMs: 10_000,
    maxOutputTokens: 1_000,
    allowedBodyFields: [],
    rolloutMs: 0,
    newOwner: () => 'owner',
    random: () => 0,
    elapsed: () => performance.now(),
    drain: createDrain(),
    now: Date.now,
    observer: NO_OBSERVER,
  }
}

/** An observer that ignores what it sees. */
export const NO_OBSERVER: Observer = {
  pushed: () => undefined,
  pushRefused: () => undefined,
  pushBroken: () => undefined,
  ended: () => undefined,
  answerDropped: () => undefined,
  notReady: () => undefined,
  sweepFailed: () => undefined,
  internalError: () => undefined,
  queueUnavailable: () => undefined,
  circuits: { closed: async () => undefined, opened: async () => undefined },
  tokens: { failed: async () => undefined, held: () => undefined, recovered: async () => undefined },
}

/** A provider whose credential is always there. */
export function providerOf(send: Send): ModelProvider {
  return { ready: async () => send }
}

/** Controls of batches without a cancellation or a limit, unless `over` says otherwise. */
export const controlsOf = (over: Partial<Watch> = {}): BatchControls => ({
  watch: async () => ({
    cancelled: new AbortController().signal,
    limitReached: async () => undefined,
    spend: () => undefined,
    replied: () => undefined,
    stoppedBy: () => undefined,
    leave: () => undefined,
    ...over,
  }),
})

/** Deployments that are always there. */
export const NEVER_MISSING: MissingEpisodes = { measure: async (_, failure) => failure, answered: () => undefined }

/** No deployment is paused. */
export const NO_PAUSES: Pauses = { paused: async () => new Set() }

/** A day that takes any number of tokens. */
export const NO_DAILY_LIMIT: DailyBudget = { limitReached: async () => undefined, spend: () => undefined }

/** A source of tokens that Azure never refuses, unless `over` says otherwise. */
export function tokensOf(get: AccessTokenSource['get'], over: Partial<AccessTokenSource> = {}): AccessTokenSource {
  return {
    get,
    accepted: () => undefined,
    refused: () => assert.fail('no token is refused'),
    status: () => ({ state: 'good', validForMs: 1 }),
    ...over,
  }
}

/** Circuits without an observer, and without jitter unless another is given. */
export function circuitsOf(now: () => number, jitter = 0) {
  return createCircuits(now, () => jitter, NO_OBSERVER.circuits)
}

/** The seat of a job that has one deployment. */
export function seatAt(deployment: Deployment): Seat {
  const candidate = { deployment, outputCap: undefined }
  const leave = () => undefined
  return takeSeat([candidate], { isAllowed: true, candidate, leave }, () => ({ isAllowed: true, leave }))
}
