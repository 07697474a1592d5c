import { z } from 'zod'
import { time, whole } from './lenient.ts'

/** One process of the worker, as Cloud Run names it where it runs there. */
const instance = z.object({
  service: z.string().optional(),
  revision: z.string().optional(),
  /** Made by the process itself. */
  id: z.string(),
})
export type Instance = z.infer<typeof instance>

/**
 * One episode in which an instance got no token that Azure takes, from its first failure to its fix: one document for
 * each kind of trouble in it. Times are epoch milliseconds; it holds no token and no prompt.
 */
export const tokenFailure = z.object({
  /** Names the document. */
  id: z.string(),
  instance,
  /** A TokenLeg; a newer version may know others. */
  leg: z.string(),
  /** `passing` or `configuration`; a newer version may know others. */
  kind: z.string(),
  /** What was seen, in one line. */
  message: z.string(),
  /** How to fix it. */
  hint: z.string(),
  code: z.string().optional(),
  aadsts: z.array(whole).optional(),
  httpStatus: whole.optional(),
  correlationId: z.string().optional(),
  /** The claims that Entra was shown. */
  presented: z.object({ issuer: z.string(), subject: z.string(), audience: z.string() }).optional(),
  /** The deployment that denies its caller or is missing; absent if the token itself failed. */
  deployment: z.string().optional(),
  firstAt: time,
  /** The last try. The recovery counts as a try; stores see to that. */
  lastAt: time,
  tries: whole,
  /** Jobs that waited, or were deferred, for want of a token. */
  jobsHeld: whole,
  /** How long the token that was held was good for at the last try, in milliseconds; 0 without one. */
  tokenValidForMs: whole,
  nextTryAt: time,
  resolvedAt: time.optional(),
  expireAt: time,
})
export type TokenFailure = z.infer<typeof tokenFailure>

/** The last sign of life of an instance. Times are epoch milliseconds. */
export const workerInstance = z.object({
  instance,
  startedAt: time,
  at: time,
  /** `none` (not asked for yet), `good` or `failing`; a newer version may know others. */
  token: z.string(),
  tokenValidForMs: whole,
  models: z.array(z.string()),
  inFlight: whole,
  refusedPushes: whole,
  /** What became of the deliveries of the minute before, by outcome. */
  lastMinute: z.record(z.string(), whole),
  expireAt: time,
})
export type WorkerInstance = z.infer<typeof workerInstance>

/** What a store found. */
export interface Listing<T> {
  readonly found: readonly T[]
  /** How many malformed documents were skipped. */
  readonly unreadable: number
}

/**
 * Where instances record their state. Every method rejects with StoreError: `unavailable` if the store cannot be reached,
 * `refused` if it refuses the write for good.
 */
export interface TelemetryStore {
  /** Writes the document of an episode, whole, whatever stands there. */
  putTokenFailure(failure: TokenFailure): Promise<void>
  /** Writes the document of an instance, whole, whatever stands there. */
  putInstance(worker: WorkerInstance): Promise<void>
  /** The episodes that had a try or were resolved since then, the latest first; at most `limit`. `since`: epoch milliseconds. */
  tokenFailures(since: number, limit: number): Promise<Listing<TokenFailure>>
  /** The instances that gave a sign since then, the latest first. `since`: epoch milliseconds. */
  instances(since: number): Promise<Listing<WorkerInstance>>
}

/** What people read of telemetry. */
export type TelemetryReader = Pick<TelemetryStore, 'tokenFailures' | 'instances'>
