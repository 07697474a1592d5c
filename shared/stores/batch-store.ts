import { z } from 'zod'
import { jobStatuses, type StatusCounts, type Usage } from '../job/record.ts'
import { given, lenient } from './lenient.ts'

/** What the sweep counted of a batch. Times are epoch milliseconds. */
export interface BatchTotals {
  readonly counts: StatusCounts
  /** Absent if the store cannot sum them. */
  readonly tokens?: Usage
  readonly sweptAt: number
  /** When the counts, or the limit, changed last; absent in older batches. */
  readonly activeAt?: number
}

/** The fields of a batch of any status. Times are epoch milliseconds. */
interface BatchFacts extends Partial<BatchTotals> {
  readonly name: string
  /** 0 if it cannot be read. */
  readonly createdAt: number
  /** When it was sealed last; absent in older batches. */
  readonly sealedAt?: number
  /** Of its jobs; absent if its sender gave none. */
  readonly fingerprint?: string
  /** Of the inputs that its jobs were made of: the same for the same documents. Absent if they were no documents. */
  readonly source?: string
  /** How many of its jobs got the answers of earlier batches; absent if none did. */
  readonly linked?: number
  /** Absent unless it was cancelled: none of its jobs is started any more. */
  readonly cancelledAt?: number
  /** Absent unless it is limited: when its answers have taken so many tokens, no further job of it is asked. */
  readonly tokenLimit?: number
  /** When the sweep could not count it; absent once it could. */
  readonly deferredAt?: number
}

/** A set of jobs that were submitted together. */
export type SealedBatch = Extract<Batch, { status: 'sealed' }>
export type Batch = BatchFacts &
  (
    | /** Still being submitted. */ { readonly status: 'open' }
    /** Submitted whole: `total` jobs belong to it. */
    | { readonly status: 'sealed'; readonly total: number }
    | { readonly status: 'completed'; readonly total: number; readonly completedAt: number }
    /** It can never be completed, because some of its jobs have no record and their messages are lost. */
    | { readonly status: 'incomplete'; readonly total: number; readonly incompleteAt: number }
  )

/** Batches that the sweep counts: those submitted whole, and those of which the tokens are limited. */
export type UnfinishedBatch = Extract<Batch, { status: 'open' | 'sealed' }>

/** A person who edits a batch by hand may write `true` or a date, which means that it is cancelled. */
const cancelled = z
  .unknown()
  .optional()
  .transform((at) => {
    if (at === undefined || at === null || at === false) return undefined
    return typeof at === 'number' ? at : 0
  })
const limit = z
  .union([z.number(), z.string().regex(/^\d+$/).transform(Number)])
  .optional()
  .catch(undefined)
const counts = z
  .record(z.string(), z.unknown())
  .transform((found): StatusCounts => {
    const known = jobStatuses.map((status) => [status, found[status]] as const)
    return Object.fromEntries(known.filter(([, n]) => typeof n === 'number'))
  })
  .optional()
  .catch(undefined)

/**
 * A batch as stores keep it. A newer version may have written it, or a person edited it by hand: each field is read by
 * itself, so that one that cannot be read hides no cancel and no limit.
 */
export const storedBatch = z
  .object({
    name: z.string(),
    createdAt: z.number().catch(0),
    cancelledAt: cancelled,
    tokenLimit: limit,
    total: lenient.number,
    completedAt: lenient.number,
    sealedAt: lenient.number,
    fingerprint: z.string().optional().catch(undefined),
    source: z.string().optional().catch(undefined),
    linked: lenient.number,
    /** The last release leaves this field in place when it seals a batch again. It applies only to this total. */
    incomplete: z.object({ at: z.number(), total: z.number() }).optional().catch(undefined),
    counts,
    tokens: z.object({ promptTokens: z.number(), completionTokens: z.number() }).optional().catch(undefined),
    sweptAt: lenient.number,
    activeAt: lenient.number,
    deferredAt: lenient.number,
  })
  .transform(({ name, createdAt, total, completedAt, incomplete, ...rest }): Batch => {
    const { counts, tokens, sweptAt, ...others } = rest
    const swept = counts && sweptAt !== undefined ? { counts, tokens, sweptAt } : {}
    const facts: BatchFacts = { name, createdAt, ...given({ ...others, ...swept }) }
    if (total === undefined) return { status: 'open', ...facts }
    if (completedAt !== undefined) return { status: 'completed', ...facts, total, completedAt }
    if (incomplete?.total === total) return { status: 'incomplete', ...facts, total, incompleteAt: incomplete.at }
    return { status: 'sealed', ...facts, total }
  })

export function isUnfinished(batch: Batch): batch is UnfinishedBatch {
  return batch.status === 'sealed' || (batch.status === 'open' && batch.tokenLimit !== undefined)
}

/** How a sealed batch ends. */
export interface BatchEnding {
  readonly as: 'completed' | 'incomplete'
  /** How many jobs it had when that was found: one that was sealed with others meanwhile goes on. */
  readonly total: number
  /** Epoch milliseconds. */
  readonly at: number
}

/** What a batch was made of. */
export type BatchOrigin = Pick<BatchFacts, 'fingerprint' | 'source'>

/** Keeps batches. Rejects with StoreError. */
export interface BatchStore {
  /** A batch that is there already stays as it is. */
  open(name: string, now: number, origin?: BatchOrigin): Promise<void>
  /**
   * Stores the number of jobs of a batch, and if it is given how many of them are linked. An ended batch is reopened.
   */
  seal(name: string, total: number, now: number, linked?: number): Promise<void>
  /** Only the first time counts. */
  end(name: string, ending: BatchEnding): Promise<void>
  /** Cancels a batch: none of its jobs is started any more. Creates the batch if it does not exist. */
  cancel(name: string, now: number): Promise<void>
  /**
   * Limits the tokens of a batch. Creates the batch if it does not exist. An ended batch is reopened, because its tokens
   * must be counted again.
   */
  limitTokens(name: string, tokenLimit: number, now: number): Promise<void>
  read(name: string): Promise<Batch | undefined>
  /** The batches that were opened last, the newest first; at most `limit`. Those that cannot be read are left out. */
  list(limit: number): Promise<readonly Batch[]>
}

/** The read methods, for commands. */
export type BatchReader = Pick<BatchStore, 'read' | 'list'>

/** What the sweep needs of batches. Rejects with StoreError. */
export interface UnfinishedBatches extends Pick<BatchStore, 'end'> {
  /**
   * Yields the batches that the sweep counts, in pages of about this size, the least recently checked first. A batch that
   * is checked meanwhile may appear again at the end.
   */
  unfinished(pageSize: number): AsyncIterable<readonly UnfinishedBatch[]>
  /** Writes what was counted of one. */
  note(name: string, totals: BatchTotals): Promise<void>
  /** Records that a batch could not be counted now, so that the next sweep counts other batches first. */
  defer(name: string, now: number): Promise<void>
  /** Leaves an open batch out of the sweep until it is sealed, or its tokens are limited again. */
  leaveOut(batch: Pick<UnfinishedBatch, 'name' | 'tokenLimit' | 'activeAt'>): Promise<void>
}
