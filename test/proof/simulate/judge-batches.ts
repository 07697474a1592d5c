import { isOver, readRecord } from './records.ts'
import { BATCH, LARGE_BATCH } from './settings.ts'
import type { Installation } from './sim-worker.ts'
import { plainFields } from './stored-values.ts'

/** Looks at the batches while sweeps go on. */
export interface BatchJudge {
  judge(): void
  /** Whether every batch that was submitted whole has ended. */
  areEnded(): boolean
  /** Whether only such batches have not that can never be completed. */
  areHopeless(): boolean
}

/** Milliseconds after the last of its jobs has ended, and everything can be reached. */
const ENDS_WITHIN_MS = 20 * 60_000

export function createBatchJudge({ world, faults, firestore, monitor }: Installation): BatchJudge {
  /** Since when all jobs of the batch are settled. Epoch milliseconds. */
  let settledSince: number | undefined

  const sealed = () =>
    firestore
      .documents('promptBatches')
      .map(({ fields }) => plainFields(fields))
      .filter(({ total }) => typeof total === 'number')
  const isEnded = ({ completedAt, incomplete }: Record<string, unknown>) =>
    completedAt !== undefined || incomplete !== undefined
  const settledOf = ({ name }: Record<string, unknown>) =>
    firestore
      .documents('promptJobs')
      .map(readRecord)
      .filter((record) => record.batch === name && isOver(record)).length

  return {
    judge() {
      const now = world.now()
      const batch = sealed().find(({ name }) => name === BATCH)
      const isLeft = batch !== undefined && !isEnded(batch) && settledOf(batch) >= Number(batch['total'])
      settledSince = isLeft ? (settledSince ?? now) : undefined
      if (settledSince === undefined || !faults.isSlow(LARGE_BATCH, now)) return
      const sinceMs = now - Math.max(settledSince, faults.reachableAt)
      if (sinceMs > ENDS_WITHIN_MS) monitor.breach('slow-batch-stops-none', `${BATCH} has not ended for ${sinceMs} ms`)
    },
    areEnded: () => sealed().every(isEnded),
    areHopeless: () => sealed().every((batch) => isEnded(batch) || settledOf(batch) < Number(batch['total'])),
  }
}
