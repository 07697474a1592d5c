import { jobStatuses, type StatusCounts, settledIn, underWayIn } from '../../shared/job/record.ts'
import type { UnfinishedBatch } from '../../shared/stores/batch-store.ts'

export type BatchVerdict =
  | 'goes_on'
  /** Open, and without any change for so long that it is no longer counted. */
  | 'left_out'
  /** completed: every job is settled. incomplete: some jobs are missing, and their messages are gone. */
  | { readonly as: 'completed' | 'incomplete'; readonly total: number }

export interface JudgeAt {
  /** Epoch milliseconds. */
  readonly now: number
  /** The age limit of a job's message, in milliseconds. */
  readonly maxJobAgeMs: number
}

const DAY_MS = 24 * 60 * 60 * 1_000

/** Decides what happens to a counted batch. A batch of any age goes on while one of its records waits or runs. */
export function judgeBatch(batch: UnfinishedBatch, counts: StatusCounts, at: JudgeAt): BatchVerdict {
  if (batch.status === 'sealed' && settledIn(counts) >= batch.total) return { as: 'completed', total: batch.total }
  if (underWayIn(counts) > 0) return 'goes_on'
  if (batch.status === 'sealed') return isOverdue(batch, at) ? { as: 'incomplete', total: batch.total } : 'goes_on'
  return hasPassed(activeAt(batch, counts, at.now), at) ? 'left_out' : 'goes_on'
}

/** Whether every message of a sealed batch is over the age limit: all were published before the seal. */
export function isOverdue({ status, sealedAt, createdAt }: UnfinishedBatch, at: JudgeAt): boolean {
  return status === 'sealed' && hasPassed(sealedAt ?? createdAt, at)
}

/** Adds a day to the age limit, because clocks may be wrong. An unreadable time is stored as 0 and never passes. */
function hasPassed(from: number, { now, maxJobAgeMs }: JudgeAt): boolean {
  return from > 0 && now >= from + maxJobAgeMs + DAY_MS
}

/** Returns when the counts of a batch, or its limit, changed last: now if the counts differ from those before. */
export function activeAt({ counts: before, activeAt }: UnfinishedBatch, counts: StatusCounts, now: number): number {
  const isSame = jobStatuses.every((status) => counts[status] === before?.[status])
  return isSame ? (activeAt ?? now) : now
}
