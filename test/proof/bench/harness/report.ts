import type { Results } from './bench.ts'
import { type Verdict, valuesOf } from './judge.ts'
import { median, ratios, type Spread, spreadOf } from './statistics.ts'

export interface Row extends Spread {
  readonly contestant: string
  readonly metric: string
  /** The median of how many times the first contestant's value it is, round by round; none of a zero. */
  readonly ratio: number | undefined
}

/** One row for each contestant and metric, beside the first contestant, which is the baseline. */
export function rowsOf(results: Results): readonly Row[] {
  const [baseline = ''] = results.keys()
  return [...results].flatMap(([contestant, samples]) =>
    Object.keys(samples[0]?.values ?? {}).map((metric) => {
      const values = valuesOf(results, contestant, metric)
      const ratio = median(ratios(values, valuesOf(results, baseline, metric)))
      return { contestant, metric, ...spreadOf(values), ratio: Number.isFinite(ratio) ? ratio : undefined }
    }),
  )
}

/** Lines for people: a table of what was measured, then each bar. */
export function printReport(results: Results, verdicts: readonly Verdict[]): string {
  const [baseline = ''] = results.keys()
  const head = ['contestant', 'metric', 'median', 'min–max', `× ${baseline}`]
  const rows = rowsOf(results)
    .toSorted((a, b) => a.metric.localeCompare(b.metric))
    .map(({ contestant, metric, median, min, max, ratio }) => [
      contestant,
      metric,
      figure(median),
      `${figure(min)}–${figure(max)}`,
      ratio === undefined ? '' : ratio.toFixed(2),
    ])
  return [...table([head, ...rows]), '', ...verdicts.map(printVerdict)].join('\n')
}

function printVerdict({ bar, met, measured }: Verdict): string {
  const seen =
    measured === undefined
      ? 'not measured'
      : `${figure(measured.median)}, ${figure(measured.min)}–${figure(measured.max)}`
  return `${met ? 'met   ' : 'MISSED'}  ${bar}  (${seen})`
}

function table(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

/** Three digits that say something, and whole numbers as they are. */
function figure(value: number): string {
  if (Number.isInteger(value)) return String(value)
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3)
}
