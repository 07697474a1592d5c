import type { Bar, Results } from './bench.ts'
import { median, ratios, type Spread, spreadOf } from './statistics.ts'

/** Whether a bar was met, and by what. */
export interface Verdict {
  readonly bar: string
  readonly met: boolean
  /** Absent where nothing was measured. */
  readonly measured?: Spread
}

interface Asked {
  readonly bars: readonly Bar[]
  readonly rounds: number
  readonly jobsPerRound: number
}

/**
 * Judges what was measured: first whether all that was asked for took place, then each bar.
 *
 * A plain value must keep to its bar in every round; a ratio by its median, for noise hits single rounds. What was not
 * measured meets no bar.
 */
export function judge(results: Results, { bars, rounds, jobsPerRound }: Asked): readonly Verdict[] {
  const complete = [...results].map(([name, samples]): Verdict => {
    const jobs = samples.map((sample) => sample.jobs)
    const met = samples.length === rounds && jobs.every((done) => done === jobsPerRound)
    return withMeasured(`${name}: ${rounds} rounds of ${jobsPerRound} jobs`, met, jobs)
  })
  return [...complete, ...bars.map((bar) => judgeBar(results, bar))]
}

function judgeBar(results: Results, bar: Bar): Verdict {
  const own = valuesOf(results, bar.contestant, bar.metric)
  if ('timesThatOf' in bar) {
    const measured = ratios(own, valuesOf(results, bar.timesThatOf, bar.metric))
    const text = `${bar.contestant}: ${bar.metric} at most ${bar.value} × ${bar.timesThatOf}`
    return withMeasured(text, median(measured) <= bar.value, measured)
  }
  const keeps = (value: number) => (bar.is === 'exactly' ? value === bar.value : value <= bar.value)
  const text = `${bar.contestant}: ${bar.metric} ${bar.is} ${bar.value}`
  return withMeasured(text, own.length > 0 && own.every(keeps), own)
}

function withMeasured(bar: string, met: boolean, values: readonly number[]): Verdict {
  return values.length === 0 ? { bar, met: false } : { bar, met, measured: spreadOf(values) }
}

/** A contestant's values of one metric, round by round; none where a round went without. */
export function valuesOf(results: Results, contestant: string, metric: string): readonly number[] {
  const values = (results.get(contestant) ?? []).flatMap(({ values }) => values[metric] ?? [])
  return values.length === results.get(contestant)?.length ? values : []
}
