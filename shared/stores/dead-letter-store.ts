import { z } from 'zod'
import { time, whole } from './lenient.ts'
import type { Listing } from './telemetry-store.ts'

/**
 * A message that no worker takes any further, and why. Times are epoch milliseconds.
 *
 * Its data lies beside it and is read for itself: it may have megabytes.
 */
export const deadLetter = z.object({
  /** `{key or SHA-256 of the data as hex}:{run}`, which every store takes for a name. */
  id: z.string().regex(/^[\w-]+:\d+$/),
  /** Of the job's record; absent for what is no job. */
  key: z.string().optional(),
  jobId: z.string().optional(),
  batch: z.string(),
  run: whole,
  model: z.string().optional(),
  reason: z.string(),
  code: z.string().optional(),
  message: z.string(),
  hint: z.string().optional(),
  /**
   * Whether a worker found reason, code, message and hint by the message's data and its job's record. Otherwise the message's
   * attributes say them, which any sender can write; so it is with letters of earlier versions.
   */
  verified: z.boolean().optional(),
  attributes: z.record(z.string(), z.string()),
  data: z.object({ bytes: whole, sha256: z.string() }),
  firstAt: time,
  lastAt: time,
  /** How often it came. Delivery is at least once, so this is no count of failures. */
  times: whole,
  replays: z.object({ n: whole, lastAt: time.optional() }),
  expireAt: time,
})
export type DeadLetter = z.infer<typeof deadLetter>

/** A dead letter as it comes in; the store names it and counts. */
export interface NewDeadLetter extends Omit<DeadLetter, 'id' | 'data' | 'firstAt' | 'lastAt' | 'times' | 'replays'> {
  /** When it came, in epoch milliseconds. */
  readonly at: number
}

export interface DeadLetterFilter {
  readonly batch?: string
  readonly reason?: string
  readonly model?: string
  /** Those that came then or later, in epoch milliseconds. */
  readonly since?: number
}

/**
 * Where dead letters are kept until they expire. Every method rejects with StoreError: `unavailable` when the store
 * cannot be reached, `refused` for what it can never keep, `corrupt` for what is not as it was written.
 */
export interface DeadLetterStore {
  /**
   * Stores a message and resolves with its letter. The same message updates the same letter, and `times` counts it. Another
   * message of the same key and run is a separate letter.
   */
  put(letter: NewDeadLetter, data: Uint8Array): Promise<DeadLetter>
  get(id: string): Promise<DeadLetter | undefined>
  /** The message's data, byte by byte. */
  readData(letter: DeadLetter): Promise<Uint8Array>
  /** In the order of their ids, from the one after `after` on. Fewer than `limit`: there are no more. */
  list(filter: DeadLetterFilter, limit: number, after?: string): Promise<Listing<DeadLetter>>
  /** Counts a replay. Resolves with false where there is no such letter. `at`: epoch milliseconds. */
  markReplayed(id: string, at: number): Promise<boolean>
}

/** What people read of dead letters. */
export type DeadLetterReader = Pick<DeadLetterStore, 'get' | 'readData' | 'list'>
