import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { breakRule } from './break-rule.ts'
import { neverMet, situations } from './exercised.ts'
import { invariants } from './invariants.ts'
import { rules } from './rules.ts'
import { type Failure, runSeeds, type Summary } from './run-seeds.ts'

const USAGE = `usage: npm run simulate -- [--seeds N] [--from S]   N histories from seed S on (10000 from 1)
       npm run simulate -- --seed S                 one history, with all that happened in it
       npm run simulate -- --break RULE [--seeds N] the same with one rule of the product broken
       --json prints one document

exit codes: 0 every invariant holds · 1 one is breached, or a situation was never met · 2 misuse
with --break: 3 the simulation caught it · 0 it survived · 2 there is no such rule, or its patch is out of date
`

const options = {
  seeds: { type: 'string', default: '10000' },
  from: { type: 'string', default: '1' },
  seed: { type: 'string' },
  break: { type: 'string' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const

/** So few histories may well miss a situation. */
const ENOUGH_SEEDS = 1_000
/** As many of a long history are printed. */
const MAX_LINES = 2_000
const MAX_TOLD = 10

async function main(args: readonly string[]): Promise<0 | 1 | 2 | 3> {
  const asked = readArguments(args)
  if (typeof asked === 'string') return misuse(asked)
  if (asked.help) {
    process.stdout.write(USAGE)
    return 0
  }
  if (asked.break !== undefined) {
    if (!Object.hasOwn(rules, asked.break))
      return misuse(`there is no rule "${asked.break}". ${Object.keys(rules).join(', ')}`)
    return breakRule(asked.break, asked)
  }
  const isOne = asked.seed !== undefined
  const range = isOne ? { from: asked.seed ?? 1, seeds: 1 } : asked
  const began = performance.now()
  const summary = await runSeeds({
    ...range,
    threads: availableParallelism(),
    untilFirst: asked.json,
    onProgress: (done) => tellProgress(done, range.seeds),
  })
  const missing = range.seeds < ENOUGH_SEEDS ? [] : neverMet(summary.exercised)
  if (asked.json) process.stdout.write(asJson(summary, missing))
  else report(summary, missing, (performance.now() - began) / 1_000)
  return summary.failures.length > 0 || missing.length > 0 ? 1 : 0
}

function readArguments(args: readonly string[]) {
  try {
    const { values } = parseArgs({ args: [...args], options })
    const { seeds, from, seed, break: rule, json, help } = values
    const numbers = [seeds, from, seed ?? '1'].map(Number)
    if (!numbers.every((number) => Number.isSafeInteger(number) && number > 0))
      return 'a seed, or their number, is 1 or more'
    const one = seed === undefined ? undefined : Number(seed)
    return { seeds: Number(seeds), from: Number(from), seed: one, break: rule, json, help }
  } catch (error) {
    return error instanceof Error ? error.message : 'the arguments cannot be read'
  }
}

function misuse(problem: string): 2 {
  process.stderr.write(`${problem}\n${USAGE}`)
  return 2
}

function tellProgress(done: number, all: number): void {
  if (!process.stderr.isTTY) return
  process.stderr.write(done === all ? '\r\x1b[K' : `\r${done} of ${all} histories\x1b[K`)
}

function report({ seeds, exercised, failures }: Summary, missing: readonly string[], seconds: number): void {
  const lines = situations.map((situation) => `${String(exercised.get(situation) ?? 0).padStart(9)}  ${situation}`)
  process.stdout.write(`${seeds} histories in ${seconds.toFixed(0)} s\n${lines.join('\n')}\n`)
  const [first] = failures
  if (first !== undefined) tellFailure(first, failures)
  for (const situation of missing) process.stdout.write(`✗ never met: ${situation}\n`)
  if (first === undefined && missing.length === 0)
    process.stdout.write(`✓ ${Object.keys(invariants).length} invariants hold\n`)
}

function tellFailure(first: Failure, failures: readonly Failure[]): void {
  const { seed, breaches, history } = first
  process.stdout.write(`\nseed ${seed}:\n`)
  for (const { at, who, what } of history.slice(-MAX_LINES)) {
    process.stdout.write(`${(at / 1_000).toFixed(3).padStart(10)} s  ${who.padEnd(10)} ${what}\n`)
  }
  for (const { invariant, what } of breaches)
    process.stdout.write(`✗ ${invariant}: ${what}\n  ${invariants[invariant]}\n`)
  const others = failures.slice(1, MAX_TOLD).map((failure) => failure.seed)
  process.stdout.write(
    `${failures.length} seeds fail: ${[seed, ...others].join(', ')}${failures.length > MAX_TOLD ? ', …' : ''}\n`,
  )
  process.stdout.write(`run it again: npm run simulate -- --seed ${seed}\n`)
}

function asJson({ seeds, exercised, failures }: Summary, missing: readonly string[]): string {
  const breaches = failures.flatMap(({ seed, breaches }) => breaches.map((breach) => ({ seed, ...breach })))
  return `${JSON.stringify({ seeds, breaches, neverMet: missing, exercised: Object.fromEntries(exercised) })}\n`
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`the simulation broke off: ${error instanceof Error ? error.stack : String(error)}\n`)
  process.exitCode = 1
}
