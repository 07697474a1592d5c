import { z } from 'zod'
import { tokenLegs } from '../identity/token-error.ts'

/** One process of the worker, as Cloud Run names it where it runs there. */
const instance = z.object({
  service: z.string().optional(),
  revision: z.string().optional(),
  /** Made by the process itself. */
  id: z.string(),
})
export type Instance = z.infer<typeof instance>

/**
 * One episode in which an instance got no token that Azure takes, from its first failure to its mend: one document for
 * each kind of trouble in it. Times are epoch milliseconds; it holds no token and no prompt.
 */
export const tokenFailure = z.object({
  /** Names the document. */
  id: z.string(),
  instance,
  leg: z.enum(tokenLegs),
  kind: z.enum(['passing', 'configuration']),
  /** What was seen, in one line. */
  message: z.string(),
  /** What mends it. */
  hint: z.string(),
  code: z.string().optional(),
  aadsts: z.array(z.number()).optional(),
  httpStatus: z.number().optional(),
  correlationId: z.string().optional(),
  /** The claims that Entra was shown. */
  presented: z.object({ issuer: z.string(), subject: z.string(), audience: z.string() }).optional(),
  /** The deployment that Azure denies; absent where the token itself is the trouble. */
  deployment: z.string().optional(),
  firstAt: z.number(),
  lastAt: z.number(),
  tries: z.number(),
  /** Jobs that waited, or were put off, for want of a token. */
  jobsHeld: z.number(),
  /** How long the token that was held was good for at the last try, in milliseconds; 0 without one. */
  tokenValidForMs: z.number(),
  nextTryAt: z.number(),
  resolvedAt: z.number().optional(),
  expireAt: z.number(),
})
export type TokenFailure = z.infer<typeof tokenFailure>

/** The last sign of life of an instance. Times are epoch milliseconds. */
export const workerInstance = z.object({
  instance,
  startedAt: z.number(),
  at: z.number(),
  /** none: nobody asked yet. */
  token: z.enum(['none', 'good', 'failing']),
  tokenValidForMs: z.number(),
  models: z.array(z.string()),
  inFlight: z.number(),
  refusedPushes: z.number(),
  /** What became of the deliveries of the minute before, by outcome. */
  lastMinute: z.record(z.string(), z.number()),
  expireAt: z.number(),
})
export type WorkerInstance = z.infer<typeof workerInstance>

/** Where instances tell how they are. Every method rejects with StoreError when the store cannot be reached. */
export interface TelemetryStore {
  /** Writes the document of an episode, whole, whatever stands there. */
  putTokenFailure(failure: TokenFailure): Promise<void>
  putInstance(worker: WorkerInstance): Promise<void>
  /** The episodes that had a try or were resolved since then, the latest first; at most `limit`. `since`: epoch milliseconds. */
  tokenFailures(since: number, limit: number): Promise<readonly TokenFailure[]>
  /** The instances that gave a sign since then, the latest first. `since`: epoch milliseconds. */
  instances(since: number): Promise<readonly WorkerInstance[]>
}
