import { type Exercised, type Shortfall, situations } from './exercised.ts'
import { type Breach, invariantNames, invariants } from './invariants.ts'
import type { Failure, Summary } from './run-seeds.ts'
import type { Happening } from './world.ts'

/** As many lines of a long history are printed. */
const MAX_LINES = 2_000
const MAX_SHOWN = 10

/** What many histories showed, for people. */
export function printSummary(summary: Summary, rare: readonly Shortfall[], ms: number): string {
  const { seeds, exercised, failures, longestEndMs } = summary
  const [first] = failures
  const held = first === undefined && rare.length === 0 ? [`✓ ${invariantNames.length} invariants hold`] : []
  const lines = [
    `${seeds} histories in ${(ms / 1_000).toFixed(0)} s`,
    ...printExercised(exercised),
    `when nothing failed any more, every job ended within ${(longestEndMs / 60_000).toFixed(1)} minutes`,
    ...(first === undefined ? [] : printFailures(first, failures)),
    ...rare.map(({ situation, met, floor }) => `✗ met too rarely: ${situation}, ${met} times; at least ${floor}`),
    ...held,
  ]
  return `${lines.join('\n')}\n`
}

/** One history, as it happened, and what was wrong in it. */
export function printHistory(seed: number, history: readonly Happening[], breaches: readonly Breach[]): string[] {
  const lines = history.slice(-MAX_LINES).map(({ at, who, what }) => {
    return `${(at / 1_000).toFixed(3).padStart(10)} s  ${who.padEnd(10)} ${what}`
  })
  const wrong = breaches.flatMap(({ invariant, what }) => [`✗ ${invariant}: ${what}`, `  ${invariants[invariant]}`])
  return ['', `seed ${seed}:`, ...lines, ...wrong]
}

function printExercised(exercised: Exercised): string[] {
  return situations.map((situation) => `${String(exercised.get(situation) ?? 0).padStart(9)}  ${situation}`)
}

function printFailures({ seed, history, breaches }: Failure, failures: readonly Failure[]): string[] {
  const shown = failures.slice(0, MAX_SHOWN).map((failure) => failure.seed)
  const more = failures.length > MAX_SHOWN ? ', …' : ''
  return [
    ...printHistory(seed, history, breaches),
    `seeds that fail: ${shown.join(', ')}${more} (${failures.length})`,
    `run it again: npm run simulate -- --seed ${seed}`,
  ]
}

/** The same for programs. */
export function jsonSummary(summary: Summary, rare: readonly Shortfall[]): string {
  const { seeds, exercised, failures, longestEndMs } = summary
  const breaches = failures.flatMap(({ seed, breaches }) => breaches.map((breach) => ({ seed, ...breach })))
  const met = Object.fromEntries(exercised)
  return `${JSON.stringify({ seeds, breaches, belowFloor: rare, exercised: met, longestEndMs })}\n`
}
