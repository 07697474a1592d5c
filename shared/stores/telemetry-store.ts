import { z } from 'zod'
import { time, whole } from './lenient.ts'

/** One process of the worker. On Cloud Run it has the names that Cloud Run gives. */
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
  /** The error message, in one line. */
  message: z.string(),
  /** How to fix it. */
  hint: z.string(),
  code: z.string().optional(),
  aadsts: z.array(whole).optional(),
  httpStatus: whole.optional(),
  correlationId: z.string().optional(),
  /** The claims of the ID token that was sent to Entra. */
  presented: z.object({ issuer: z.string(), subject: z.string(), audience: z.string() }).optional(),
  /** The deployment that denies its caller or is missing; absent if the token itself failed. */
  deployment: z.string().optional(),
  firstAt: time,
  /** The last try. The recovery counts as a try; stores see to that. */
  lastAt: time,
  tries: whole,
  /** Jobs that waited, or were deferred, for want of a token. */
  jobsHeld: whole,
  /** The remaining lifetime of the current token at the last try, in milliseconds. 0 if there was none. */
  tokenValidForMs: whole,
  nextTryAt: time,
  resolvedAt: time.optional(),
  expireAt: time,
})
export type TokenFailure = z.infer<typeof tokenFailure>

/** The last heartbeat of an instance. Times are epoch milliseconds. */
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
  /** The number of deliveries of the last minute, by outcome. */
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
  /** Writes the whole document of an episode and overwrites an existing one. */
  putTokenFailure(failure: TokenFailure): Promise<void>
  /** Writes the whole document of an instance and overwrites an existing one. */
  putInstance(worker: WorkerInstance): Promise<void>
  /** The episodes that had a try or were resolved since then, the latest first; at most `limit`. `since`: epoch milliseconds. */
  tokenFailures(since: number, limit: number): Promise<Listing<TokenFailure>>
  /** The instances with a heartbeat since then, the latest first. `since`: epoch milliseconds. */
  instances(since: number): Promise<Listing<WorkerInstance>>
}

/** The read methods, for commands. */
export type TelemetryReader = Pick<TelemetryStore, 'tokenFailures' | 'instances'>
