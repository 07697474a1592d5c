import { jobStatuses, type StatusCounts, settledIn, underWayIn } from '../../shared/job/record.ts'
import type { UnfinishedBatch } from '../../shared/stores/batch-store.ts'

export type BatchVerdict =
  | 'goes_on'
  /** Open, and nothing happens in it any more: it is counted no more. */
  | 'left_out'
  /** completed: every job is settled. incomplete: no more of its jobs can come, for their messages are gone. */
  | { readonly as: 'completed' | 'incomplete'; readonly total: number }

export interface JudgeAt {
  /** Epoch milliseconds. */
  readonly now: number
  /** How old a job's message can be. */
  readonly maxJobAgeMs: number
}

const DAY_MS = 24 * 60 * 60 * 1_000

/** Says what becomes of a batch that was counted. While a record waits or runs, it is not over, however old it is. */
export function judgeBatch(batch: UnfinishedBatch, counts: StatusCounts, at: JudgeAt): BatchVerdict {
  if (batch.status === 'sealed' && settledIn(counts) >= batch.total) return { as: 'completed', total: batch.total }
  if (underWayIn(counts) > 0) return 'goes_on'
  if (batch.status === 'sealed') return isOverdue(batch, at) ? { as: 'incomplete', total: batch.total } : 'goes_on'
  return hasPassed(activeAt(batch, counts, at.now), at) ? 'left_out' : 'goes_on'
}

/** Whether every message of a sealed batch is too old: they were published before the seal. */
export function isOverdue({ status, sealedAt, createdAt }: UnfinishedBatch, at: JudgeAt): boolean {
  return status === 'sealed' && hasPassed(sealedAt ?? createdAt, at)
}

/** A day more than a job can be old, for clocks that are wrong. A time that cannot be read is 0, and never passes. */
function hasPassed(from: number, { now, maxJobAgeMs }: JudgeAt): boolean {
  return from > 0 && now >= from + maxJobAgeMs + DAY_MS
}

/** When the counts of a batch, or its limit, changed last: now, where they are others than before. */
export function activeAt({ counts: before, activeAt }: UnfinishedBatch, counts: StatusCounts, now: number): number {
  const isSame = jobStatuses.every((status) => counts[status] === before?.[status])
  return isSame ? (activeAt ?? now) : now
}
