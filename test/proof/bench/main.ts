import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import type { Bench, Results } from './harness/bench.ts'
import { judge, type Verdict } from './harness/judge.ts'
import { printReport, rowsOf } from './harness/report.ts'
import { runRounds } from './harness/run-rounds.ts'

/** Loaded by need: each brings libraries that the others are not to pay for. */
const benches: Readonly<Record<string, () => Promise<{ readonly bench: Bench }>>> = {
  coldstart: () => import('./worker/coldstart-bench.ts'),
  firestore: () => import('./firestore/firestore-bench.ts'),
  fleet: () => import('./fleet/fleet-bench.ts'),
  latency: () => import('./worker/latency-bench.ts'),
  memory: () => import('./worker/memory-bench.ts'),
  'memory-soak': () => import('./worker/memory-soak-bench.ts'),
  overhead: () => import('./overhead/overhead-bench.ts'),
  'overhead-firestore': () => import('./overhead/overhead-firestore-bench.ts'),
  quota: () => import('./quota/quota-bench.ts'),
  storm: () => import('./storm/storm-bench.ts'),
  submit: () => import('./shell/submit-bench.ts'),
  'submit-pubsub': () => import('./shell/submit-pubsub-bench.ts'),
  results: () => import('./shell/results-bench.ts'),
  token: () => import('./token/token-bench.ts'),
  'token-soak': () => import('./token/token-soak-bench.ts'),
}

const options = { rounds: { type: 'string' }, json: { type: 'boolean', default: false } } as const

/** The exit code: 0 when every bar is met, 1 when one is missed or the bench broke off, 2 for misuse. */
async function main(args: readonly string[]): Promise<0 | 1 | 2> {
  const asked = readArguments(args)
  if (typeof asked === 'string') return misuse(asked)
  const { name, json } = asked
  if (name === undefined) {
    process.stdout.write(`${Object.keys(benches).join('\n')}\n`)
    return 0
  }
  const load = Object.hasOwn(benches, name) ? benches[name] : undefined
  if (load === undefined) return misuse(`there is no bench ${name}`)
  const { bench } = await load()
  const rounds = asked.rounds ?? bench.rounds
  const results = await measure(bench, rounds)
  const verdicts = judge(results, { ...bench, rounds })
  process.stdout.write(json ? asJson(name, results, verdicts) : `${printReport(results, verdicts)}\n`)
  return verdicts.every(({ met }) => met) ? 0 : 1
}

function readArguments(args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true })
    const rounds = values.rounds === undefined ? undefined : Number(values.rounds)
    if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0)) return '--rounds takes a number from 1 on'
    if (positionals.length > 1) return 'one bench at a time'
    return { name: positionals[0], rounds, json: values.json }
  } catch (error) {
    return error instanceof Error ? error.message : 'the arguments cannot be read'
  }
}

function misuse(problem: string): 2 {
  const names = Object.keys(benches).join(', ')
  process.stderr.write(`${problem}\nusage: npm run bench -- NAME [--rounds N] [--json]\nbenches: ${names}\n`)
  return 2
}

async function measure(bench: Bench, rounds: number): Promise<Results> {
  process.stderr.write(`${bench.title}\n${rounds} rounds of ${bench.jobsPerRound} jobs after a warm-up\n\n`)
  await using open = await bench.open()
  const onTurn = (round: number, contestant: string) => {
    process.stderr.write(`${round === 0 ? 'warm-up' : `round ${round}`}: ${contestant}\n`)
  }
  return await runRounds(open.contestants, { rounds, jobs: bench.jobsPerRound, onTurn })
}

function asJson(bench: string, results: Results, verdicts: readonly Verdict[]): string {
  const [{ model = 'unknown' } = {}] = cpus()
  const machine = { node: process.version, cpu: model, cpus: cpus().length }
  const samples = Object.fromEntries(results)
  return `${JSON.stringify({ bench, machine, rows: rowsOf(results), verdicts, samples }, undefined, 2)}\n`
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`the bench broke off: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
