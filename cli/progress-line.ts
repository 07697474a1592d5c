import { plainText } from './plain-text.ts'

/** What is written to: a stream, on a terminal or not. */
export interface Screen {
  readonly isTTY?: boolean
  /** Characters in a line of a terminal. */
  readonly columns?: number
  write(text: string): unknown
}

/** Shows the progress of long work. */
export interface ProgressLine {
  /** `fraction`: the part that is done, undefined while it is not known. `text`: describes it, in one line. */
  show(fraction: number | undefined, text: string): void
  /** Ends the output and keeps its last line. */
  end(): void
}

/** Leaves room for the figures on a terminal of 80 columns. */
const BAR_WIDTH = 16
const USUAL_COLUMNS = 80
/** One line for each tenth of the work. */
const PLAIN_STEPS = 10

/** On a terminal a bar that is redrawn, elsewhere a plain line now and then. */
export function createProgressLine(out: Screen): ProgressLine {
  return out.isTTY ? createBar(out) : createLines(out)
}

function createBar(out: Screen): ProgressLine {
  let isBegun = false
  return {
    show(fraction = 0, text) {
      isBegun = true
      const full = Math.round(Math.min(1, fraction) * BAR_WIDTH)
      const line = `  ${'█'.repeat(full)}${'░'.repeat(BAR_WIDTH - full)} ${plainText(text)}`
      // A line that wraps cannot be redrawn.
      out.write(`\r${line.slice(0, (out.columns || USUAL_COLUMNS) - 1)}\x1b[K`)
    },
    end: () => isBegun && void out.write('\n'),
  }
}

function createLines(out: Screen): ProgressLine {
  let shown = -1
  return {
    show(fraction = 0, text) {
      const step = Math.floor(fraction * PLAIN_STEPS)
      if (step === shown) return
      shown = step
      out.write(`  ${plainText(text)}\n`)
    },
    end: () => undefined,
  }
}
