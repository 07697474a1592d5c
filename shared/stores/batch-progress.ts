import { type StatusCounts, settledIn, type Usage, underWayIn } from '../job/record.ts'
import { defined } from '../lib/defined.ts'
import type { Batch } from './batch-store.ts'
import type { StoreReaders } from './open.ts'
import type { FailureCounts } from './record-documents.ts'

/** How far a batch has come, by its records and its total. Times are epoch milliseconds. */
export interface BatchProgress {
  readonly name: string
  /**
   * submitting: its total is not known yet. running: jobs are left. complete: every job is settled. incomplete: some jobs
   * have no record, and their messages are lost.
   */
  readonly state: 'submitting' | 'running' | 'complete' | 'incomplete'
  readonly isCancelled: boolean
  /** Undefined until all its jobs are published. */
  readonly total: number | undefined
  readonly settled: number
  /** Jobs without a record: no worker has begun with them. Undefined while the total is. */
  readonly notStarted: number | undefined
  readonly counts: StatusCounts
  /** Dead-lettered jobs by the kind of their error. */
  readonly failures: FailureCounts
  /** How many jobs `failures` counts, if not all: of very many it is a part. */
  readonly failuresOf?: number
  readonly tokens: Usage
  readonly tokenLimit?: number
  /** How many of its jobs got the answers of earlier batches. Absent if none did, or until all its jobs are published. */
  readonly linked?: number
  /** When it was submitted. Undefined if only records of it are known. */
  readonly createdAt?: number
}

/** What progress is read from. */
export interface ProgressStores {
  readonly batches: Pick<StoreReaders['batches'], 'read'>
  readonly documents: Pick<StoreReaders['documents'], 'countByStatus' | 'countFailures' | 'sumUsage'>
}

/** Undefined if there is neither the batch nor a record of it. Rejects with StoreError. */
export async function readBatchProgress(
  { batches, documents }: ProgressStores,
  name: string,
): Promise<BatchProgress | undefined> {
  // The batch comes first: a job that settles in between is counted, and never makes a batch complete that is not.
  const batch = await batches.read(name)
  const counts = await documents.countByStatus(name)
  if (batch === undefined && settledIn(counts) + underWayIn(counts) === 0) return undefined
  const [failures, tokens] = await Promise.all([
    (counts.dead_lettered ?? 0) > 0 ? documents.countFailures(name) : {},
    documents.sumUsage({ batch: name }),
  ])
  return progressOf(name, batch, { counts, failures, tokens })
}

/** The same, from what was counted. */
export function progressOf(
  name: string,
  batch: Batch | undefined,
  { counts, failures, tokens }: Pick<BatchProgress, 'counts' | 'failures' | 'tokens'>,
): BatchProgress {
  const total = batch === undefined || batch.status === 'open' ? undefined : batch.total
  const settled = settledIn(counts)
  const notStarted = total === undefined ? undefined : Math.max(0, total - settled - underWayIn(counts))
  const { cancelledAt, tokenLimit, linked, createdAt } = batch ?? {}
  const state = stateOf(batch, counts)
  const known = { name, state, isCancelled: cancelledAt !== undefined, total, settled, notStarted }
  const failuresOf = partOf(counts, failures)
  return { ...known, counts, failures, tokens, ...defined({ failuresOf, tokenLimit, linked, createdAt }) }
}

function partOf({ dead_lettered = 0 }: StatusCounts, failures: FailureCounts): number | undefined {
  const counted = Object.values(failures).reduce((sum, n) => sum + n, 0)
  return counted < dead_lettered ? counted : undefined
}

/** The records of a batch that was complete expire, and a replay makes one running again. */
function stateOf(batch: Batch | undefined, counts: StatusCounts): BatchProgress['state'] {
  if (batch === undefined || batch.status === 'open') return 'submitting'
  if (settledIn(counts) >= batch.total) return 'complete'
  if (underWayIn(counts) > 0 || batch.status === 'sealed') return 'running'
  return batch.status === 'completed' ? 'complete' : 'incomplete'
}

/** Whether nothing will change by itself any more. */
export function hasEnded({ state }: BatchProgress): boolean {
  return state === 'complete' || state === 'incomplete'
}

/** How many jobs have ended without an answer. */
export function failedIn({ counts }: Pick<BatchProgress, 'counts'>): number {
  const { dead_lettered = 0, cancelled = 0, expired = 0 } = counts
  return dead_lettered + cancelled + expired
}
