import type { Usage } from '../../shared/job/record.ts'
import type { BatchTotals, UnfinishedBatch } from '../../shared/stores/batch-store.ts'
import { isUnavailable } from '../../shared/stores/job-store.ts'
import { activeAt, isOverdue, judgeBatch } from './judge-batch.ts'
import { isRefused, type SweepCourse, type Sweeping } from './sweep-course.ts'

/** Counts the batches of one sweep by result. */
export interface BatchesSummary {
  readonly counted: number
  readonly completed: number
  readonly incomplete: number
  /** Open batches that are no longer counted until they are sealed or their limit changes. */
  readonly leftOut: number
  /** Batches that could not be counted now, or whose end could not be published. */
  readonly deferred: number
  /** Batches that the store refuses to count or to write. */
  readonly refused: number
}

type Became = Exclude<keyof BatchesSummary, 'counted'> | 'goes_on'

const BATCHES_A_PAGE = 100
/** A slow batch does not delay the others. */
const BATCHES_AT_ONCE = 8

/** Counts the batches that were counted longest ago, and ends those that are over. Never rejects. */
export async function sweepBatches(
  sweeping: Sweeping,
  course: SweepCourse,
  isOver: () => boolean,
): Promise<BatchesSummary> {
  const done = { counted: 0, completed: 0, incomplete: 0, leftOut: 0, deferred: 0, refused: 0 }
  const sumTokens = createTokenSum(sweeping, course)
  const unfinished = eachOnce(sweeping.batches.unfinished(BATCHES_A_PAGE))
  const sweepSome = async () => {
    for await (const batch of unfinished) {
      if (isOver()) return
      const became = await sweepBatch(sweeping, course, batch, sumTokens)
      done.counted += 1
      if (became !== 'goes_on') done[became] += 1
    }
  }
  const read = await course.attempt({ part: 'batches' }, async () => {
    const all = await Promise.allSettled(Array.from({ length: BATCHES_AT_ONCE }, sweepSome))
    for (const each of all) if (each.status === 'rejected') throw each.reason
  })
  // Neither jobs nor batches could be read.
  if (read.kind === 'deferred' && course.leftOver().deferred.includes('jobs')) course.storeIsAway(read.error)
  return done
}

/** Yields each batch once. Counted batches move to the end, so a page of known batches means that all were yielded. */
async function* eachOnce(pages: AsyncIterable<readonly UnfinishedBatch[]>): AsyncGenerator<UnfinishedBatch> {
  const seen = new Set<string>()
  for await (const page of pages) {
    const fresh = page.filter(({ name }) => !seen.has(name))
    if (page.length > 0 && fresh.length === 0) return
    for (const batch of fresh) {
      seen.add(batch.name)
      yield batch
    }
  }
}

type TokenSum = (batch: string) => Promise<Usage | undefined>

/** A missing index for the sum affects every batch, so it is logged once and the sum is not tried again in this sweep. */
function createTokenSum({ documents }: Sweeping, { report }: SweepCourse): TokenSum {
  let canSum = true
  return async (batch) => {
    try {
      return canSum ? await documents.sumUsage({ batch }) : undefined
    } catch (error) {
      if (!isRefused(error)) throw error
      if (canSum) report({ part: 'tokens' }, error)
      canSum = false
      return undefined
    }
  }
}

/** A batch that cannot be counted moves behind the others. If that write fails too, the store is unavailable. */
async function sweepBatch(
  sweeping: Sweeping,
  course: SweepCourse,
  batch: UnfinishedBatch,
  sumTokens: TokenSum,
): Promise<Became> {
  const { batches, now } = sweeping
  const about = { batch: batch.name }
  const swept = await course.attempt(about, async () => {
    const totals = await countBatch(sweeping, batch, sumTokens)
    await batches.note(batch.name, totals)
    return concludeBatch(sweeping, course, batch, totals)
  })
  if (swept.kind === 'done') return swept.value
  const deferred = await course.attempt(about, () => batches.defer(batch.name, now()))
  if (deferred.kind === 'deferred') course.storeIsAway(deferred.error)
  return swept.kind
}

/** A batch whose time is over ends without a token sum if the sum is unavailable. */
async function countBatch(
  { documents, now, maxJobAgeMs }: Sweeping,
  batch: UnfinishedBatch,
  sumTokens: TokenSum,
): Promise<BatchTotals> {
  const [counting, summing] = await Promise.allSettled([documents.countByStatus(batch.name), sumTokens(batch.name)])
  if (counting.status === 'rejected') throw counting.reason
  const at = { now: now(), maxJobAgeMs }
  if (summing.status === 'rejected' && !(isUnavailable(summing.reason) && isOverdue(batch, at))) throw summing.reason
  const tokens = summing.status === 'fulfilled' ? summing.value : undefined
  const counts = counting.value
  return { counts, ...(tokens && { tokens }), sweptAt: at.now, activeAt: activeAt(batch, counts, at.now) }
}

/** Publishes the event first: an ended batch is not swept again, so its event would be lost. */
async function concludeBatch(
  { batches, announce, maxJobAgeMs }: Sweeping,
  course: SweepCourse,
  batch: UnfinishedBatch,
  totals: BatchTotals,
): Promise<Became> {
  const { name } = batch
  const verdict = judgeBatch(batch, totals.counts, { now: totals.sweptAt, maxJobAgeMs })
  if (verdict === 'goes_on') return verdict
  if (verdict === 'left_out') {
    await batches.leaveOut({ ...batch, ...totals })
    return 'leftOut'
  }
  const ending = { as: verdict.as, total: verdict.total, at: totals.sweptAt }
  const announced = await course.attempt({ batch: name }, () => announce({ ...batch, ...totals, ...ending }))
  if (announced.kind !== 'done') return 'deferred'
  await batches.end(name, ending)
  return ending.as
}
