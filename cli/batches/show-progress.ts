import type { ProgressLine } from '../progress-line.ts'
import { describeBriefly } from './describe-progress.ts'
import type { Observed } from './follow-batch.ts'

/** Shows a batch on a line of progress. */
export function showOn(line: ProgressLine, observed: Observed): void {
  const { settled, total } = observed.progress
  line.show(total === undefined ? undefined : settled / total, describeBriefly(observed))
}
