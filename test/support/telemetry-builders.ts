import type { TokenFailure, WorkerInstance } from '../../shared/stores/telemetry-store.ts'
import { DAY_MS, START } from './job-builders.ts'

const instance = { service: 'promptbridge', revision: 'promptbridge-00007', id: 'instance-1' }

/** An episode that is over, with every field there is. */
export function aTokenFailure(over: Partial<TokenFailure> = {}): TokenFailure {
  return {
    id: 'episode-1',
    instance,
    leg: 'entra_exchange',
    kind: 'configuration',
    message: 'no federated credential has this subject',
    hint: 'Set Subject to 1045.',
    code: 'invalid_request',
    aadsts: [700213, 70021],
    httpStatus: 400,
    correlationId: 'correlation-1',
    presented: { issuer: 'https://accounts.google.com', subject: '1045', audience: 'api://AzureADTokenExchange' },
    deployment: 'gpt-4o-eu',
    firstAt: START,
    lastAt: START + 90_000,
    tries: 3,
    jobsHeld: 12,
    tokenValidForMs: 840_000,
    nextTryAt: START + 120_000,
    resolvedAt: START + 90_000,
    expireAt: START + 30 * DAY_MS,
    ...over,
  }
}

export function aWorkerInstance(over: Partial<WorkerInstance> = {}): WorkerInstance {
  return {
    instance,
    startedAt: START,
    at: START + 60_000,
    token: 'good',
    tokenValidForMs: 840_000,
    models: ['gpt-4o', 'text-embedding-3-small'],
    inFlight: 7,
    refusedPushes: 1,
    lastMinute: { succeeded: 40, rejected: 1, 'not a job': 2 },
    expireAt: START + DAY_MS,
    ...over,
  }
}
