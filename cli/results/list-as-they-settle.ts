import type { Clock } from '../../shared/lib/clock.ts'
import { type BatchProgress, hasEnded } from '../../shared/stores/batch-progress.ts'
import type { ListedRecord } from '../../shared/stores/record-documents.ts'

export interface SettleOptions {
  /** Lists every record of the batch. */
  readonly list: () => AsyncIterable<ListedRecord>
  readonly now: Clock
  /** Whether each record that is read costs money. */
  readonly isBilled: boolean
}

/** The batch is listed again when this part of what was listed has settled since. All listings then read a few times its size. */
const GROWTH = 0.25
/** Where reading is free, listing may also take this part of the time. */
const TIME_SHARE = 0.1

/** Lists the records of a batch again and again as its jobs settle, and at last when it has ended. Records repeat. */
export async function* listAsTheySettle(
  looks: AsyncIterable<{ readonly progress: BatchProgress }>,
  { list, now, isBilled }: SettleOptions,
): AsyncGenerator<ListedRecord> {
  let [listed, endedAt, tookMs] = [0, 0, 0]
  for await (const { progress } of looks) {
    const grown = progress.settled - listed
    const hasTime = !isBilled && now() - endedAt >= tookMs / TIME_SHARE
    const isDue = grown > 0 && (hasEnded(progress) || hasTime || grown >= listed * GROWTH)
    if (!isDue) continue
    const begunAt = now()
    yield* list()
    listed = progress.settled
    endedAt = now()
    tookMs = endedAt - begunAt
  }
}
