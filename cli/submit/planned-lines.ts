import { MAX_JOB_BYTES } from '../../shared/job/parse-job.ts'
import { type Line, splitLines } from '../../shared/lib/split-lines.ts'
import type { LinePlan } from './line-plan.ts'

/**
 * Reads the lines of a plan, until `signal` is aborted.
 *
 * Rejects if a line is not as it was when it was checked or is no longer there.
 */
export async function* plannedLines(
  input: AsyncIterable<Uint8Array>,
  { plan, signal }: { readonly plan: LinePlan; readonly signal: AbortSignal },
): AsyncGenerator<Line> {
  let last = 0
  for await (const line of splitLines(input, MAX_JOB_BYTES)) {
    if (signal.aborted || line.number > plan.last()) break
    last = line.number
    const verdict = plan.judge(line)
    if (verdict === 'changed') throw changed(line.number)
    if (verdict === 'same') yield line
  }
  if (!signal.aborted && last < plan.last()) throw changed(last + 1)
}

function changed(line: number): Error {
  return new Error(
    `line ${line} changed while the input was read. Submit the input again: what was sent is not sent twice`,
  )
}
