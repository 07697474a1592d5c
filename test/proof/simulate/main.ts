import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { breakRule } from './break-rule.ts'
import { belowFloor } from './exercised.ts'
import { jsonSummary, printHistory, printSummary } from './report.ts'
import { rules } from './rules.ts'
import { runSeed } from './run-seed.ts'
import { runSeeds } from './run-seeds.ts'

const USAGE = `usage: npm run simulate -- [--seeds N] [--from S]   N histories from seed S on (10000 from 1)
       npm run simulate -- --seed S                 one history, with all that happened in it
       npm run simulate -- --break RULE             histories with one rule broken, until one shows it
       --json prints one document, and stops at the first history that fails; --until INVARIANT: at that breach of it

exit codes: 0 every invariant holds · 1 one is breached, or a situation was met too rarely · 2 misuse
with --break: 3 the simulation caught it · 0 it survived · 2 there is no such rule, or its patch is out of date
rules: ${Object.keys(rules).join(', ')}
`

const options = {
  seeds: { type: 'string', default: '10000' },
  from: { type: 'string', default: '1' },
  seed: { type: 'string' },
  break: { type: 'string' },
  until: { type: 'string' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const

/** Fewer histories may well meet a situation less often than its floor. */
const ENOUGH_SEEDS = 500

interface Asked {
  readonly seeds: number
  readonly from: number
  readonly json: boolean
  readonly until: string | undefined
}

async function main(args: readonly string[]): Promise<0 | 1 | 2 | 3> {
  const asked = readArguments(args)
  if (typeof asked === 'string') return misuse(asked)
  if (asked.help) {
    process.stdout.write(USAGE)
    return 0
  }
  if (asked.rule !== undefined) {
    return Object.hasOwn(rules, asked.rule) ? breakRule(asked.rule, asked) : misuse(`there is no rule "${asked.rule}"`)
  }
  return asked.seed === undefined ? runMany(asked) : runOne(asked.seed)
}

async function runMany({ seeds, from, json, until }: Asked): Promise<0 | 1> {
  const began = performance.now()
  const summary = await runSeeds({
    ...{ seeds, from, threads: availableParallelism() },
    isEnough: (breaches) => json && breaches.some(({ invariant }) => until === undefined || invariant === until),
    onProgress: (done) => showProgress(done, seeds),
  })
  const rare = seeds < ENOUGH_SEEDS ? [] : belowFloor(summary.exercised, seeds)
  process.stdout.write(json ? jsonSummary(summary, rare) : printSummary(summary, rare, performance.now() - began))
  return summary.failures.length > 0 || rare.length > 0 ? 1 : 0
}

async function runOne(seed: number): Promise<0 | 1> {
  const { history, breaches } = await runSeed(seed)
  process.stdout.write(`${printHistory(seed, history, breaches).join('\n')}\n`)
  return breaches.length > 0 ? 1 : 0
}

function readArguments(args: readonly string[]) {
  try {
    const { values } = parseArgs({ args: [...args], options })
    const { break: rule, json, until, help } = values
    const [seeds = 0, from = 0, seed = 0] = [values.seeds, values.from, values.seed ?? '1'].map(Number)
    const isRight = [seeds, from, seed].every((number) => Number.isSafeInteger(number) && number > 0)
    if (!isRight) return 'a seed, and how many there are, is 1 or more'
    return { seeds, from, seed: values.seed === undefined ? undefined : seed, rule, json, until, help }
  } catch (error) {
    return error instanceof Error ? error.message : 'the arguments cannot be read'
  }
}

function misuse(problem: string): 2 {
  process.stderr.write(`${problem}\n${USAGE}`)
  return 2
}

function showProgress(done: number, all: number): void {
  if (!process.stderr.isTTY) return
  process.stderr.write(done === all ? '\r\x1b[K' : `\r${done} of ${all} histories\x1b[K`)
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`the simulation broke off: ${error instanceof Error ? error.stack : String(error)}\n`)
  process.exitCode = 1
}
