import { type StatusCounts, settledIn } from '../../shared/job/record.ts'
import { createProgressLine, type Screen } from '../progress-line.ts'

/** Shows the progress of a batch. */
export interface Progress {
  show(counts: StatusCounts): void
  /** Ends the output and keeps its last line. */
  end(): void
}

export function createProgress(out: Screen, total: number): Progress {
  const line = createProgressLine(out)
  return {
    show: (counts) => line.show(settledIn(counts) / total, describe(counts, total)),
    end: () => line.end(),
  }
}

function describe(counts: StatusCounts, total: number): string {
  const { running = 0, waiting = 0, dead_lettered = 0 } = counts
  return `${settledIn(counts)}/${total} settled, ${running} running, ${waiting} waiting, ${dead_lettered} dead-lettered`
}
