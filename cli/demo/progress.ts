import { type StatusCounts, settledIn } from '../../shared/job/record.ts'

/** Shows the progress of a batch. */
export interface Progress {
  show(counts: StatusCounts): void
  /** Ends the output and keeps its last line. */
  end(): void
}

/** What is written to: standard output, on a terminal or not. */
export interface Screen {
  readonly isTTY?: boolean
  /** Characters in a line of a terminal. */
  readonly columns?: number
  write(text: string): unknown
}

/** Leaves room for the figures on a terminal of 80 columns. */
const BAR_WIDTH = 16
const USUAL_COLUMNS = 80
/** One line for each tenth of the jobs. */
const PLAIN_STEPS = 10

/** On a terminal a bar that is redrawn, elsewhere a plain line now and then. */
export function createProgress(out: Screen, total: number): Progress {
  return out.isTTY ? createBar(out, total) : createLines(out, total)
}

function createBar(out: Screen, total: number): Progress {
  return {
    show(counts) {
      const full = Math.round((settledIn(counts) / total) * BAR_WIDTH)
      const line = `  ${'█'.repeat(full)}${'░'.repeat(BAR_WIDTH - full)} ${describe(counts, total)}`
      // A line that wraps cannot be redrawn.
      out.write(`\r${line.slice(0, (out.columns || USUAL_COLUMNS) - 1)}\x1b[K`)
    },
    end: () => void out.write('\n'),
  }
}

function createLines(out: Screen, total: number): Progress {
  let shown = -1
  return {
    show(counts) {
      const step = Math.floor((settledIn(counts) / total) * PLAIN_STEPS)
      if (step === shown) return
      shown = step
      out.write(`  ${describe(counts, total)}\n`)
    },
    end: () => undefined,
  }
}

function describe(counts: StatusCounts, total: number): string {
  const { running = 0, waiting = 0, dead_lettered = 0 } = counts
  return `${settledIn(counts)}/${total} settled, ${running} running, ${waiting} waiting, ${dead_lettered} dead-lettered`
}
