import { z } from 'zod'
import { time, whole } from './lenient.ts'
import type { Listing } from './telemetry-store.ts'

/**
 * A message that no worker processes any more, and the reason. Times are epoch milliseconds.
 *
 * Its data is stored and read separately, because it may have megabytes.
 */
export const deadLetter = z.object({
  /** `{key or SHA-256 of the data as hex}:{run}`. Every store accepts this as a name. */
  id: z.string().regex(/^[\w-]+:\d+$/),
  /** The key of the job's record. Absent if the message is not a job. */
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
   * Whether a worker derived reason, code, message and hint from the message's data and its job's record. If false, they are
   * from the message's attributes, which any sender can write. In letters of earlier versions they always are.
   */
  verified: z.boolean().optional(),
  attributes: z.record(z.string(), z.string()),
  data: z.object({ bytes: whole, sha256: z.string() }),
  firstAt: time,
  lastAt: time,
  /** The number of deliveries. Delivery is at least once, so this does not count failures. */
  times: whole,
  /** `begunAt`: when the replay began that is under way. The last release does not write it, and drops it. */
  replays: z.object({ n: whole, lastAt: time.optional(), begunAt: time.optional() }),
  expireAt: time,
})
export type DeadLetter = z.infer<typeof deadLetter>

/** A new dead letter. The store adds its id and its counts. */
export interface NewDeadLetter extends Omit<DeadLetter, 'id' | 'data' | 'firstAt' | 'lastAt' | 'times' | 'replays'> {
  /** The time of delivery, in epoch milliseconds. */
  readonly at: number
}

export interface DeadLetterFilter {
  readonly batch?: string
  readonly reason?: string
  readonly model?: string
  /** Only letters delivered at or after this time, in epoch milliseconds. */
  readonly since?: number
  /** Only letters delivered before this time, in epoch milliseconds. */
  readonly before?: number
  readonly status?: LetterStatus
}

/** replayed: its job was published again. If it fails again, that run has another letter. */
export const letterStatuses = ['open', 'replayed'] as const
export type LetterStatus = (typeof letterStatuses)[number]

export function statusOf({ replays }: Pick<DeadLetter, 'replays'>): LetterStatus {
  return replays.n > 0 ? 'replayed' : 'open'
}

/**
 * Keeps dead letters until they expire. Every method rejects with StoreError: `unavailable` if the store cannot be
 * reached, `refused` if it can never keep the letter, `corrupt` if stored data does not match what was written.
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
  /** Lists letters in the order of their ids, after `after`. Fewer than `limit` means that there are no more. */
  list(filter: DeadLetterFilter, limit: number, after?: string): Promise<Listing<DeadLetter>>
  /**
   * Begins a replay of a letter as it was read. Resolves with false if it is gone, if it was replayed since then, or if
   * another replay has begun within the last ten minutes and has not ended. `at`: epoch milliseconds.
   */
  beginReplay(seen: Pick<DeadLetter, 'id' | 'replays'>, at: number): Promise<boolean>
  /** Ends a replay, and counts it if its message was published. Resolves with false if there is no such letter. */
  endReplay(id: string, as: 'published' | 'abandoned', at: number): Promise<boolean>
  /** Deletes a letter and its data. Resolves with false if there is no such letter. */
  discard(id: string): Promise<boolean>
}

/** The read methods, for commands. */
export type DeadLetterReader = Pick<DeadLetterStore, 'get' | 'readData' | 'list'>
