import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { missingForEmulators } from '../../../cli/emulators.ts'
import { listenForInterrupt } from '../../../cli/interrupt.ts'
import type { StoreKind } from './faults.ts'
import { makePlan } from './plan.ts'
import { holds, printPlan, printReport } from './report.ts'
import { runChaos } from './run.ts'

const HELP = `Breaks worker processes, their store, their network and the services they use, and judges what is left.

usage: npm run chaos -- [options]
  --minutes N    how long things go wrong (2); parts of a minute will do
  --seed S       what goes wrong when follows from it; one is drawn when absent
  --workers N    how many worker processes (2)
  --store KIND   emulators: Google's, or sqlite; emulators where gcloud and java are found
  --plan         print the plan, and do nothing
  --json         print the report as JSON
  --help

exit codes: 0 everything held · 1 something did not, or less went wrong than was planned · 2 misuse
`

const options = {
  minutes: { type: 'string', default: '2' },
  seed: { type: 'string' },
  workers: { type: 'string', default: '2' },
  store: { type: 'string' },
  plan: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const

const MAX_SEED = 2 ** 32 - 1
const MAX_WORKERS = 8
const INTERRUPTED = 130

interface Asked {
  readonly seed: number
  readonly minutes: number
  readonly workers: number
  readonly store: StoreKind
  readonly isPlan: boolean
  readonly isJson: boolean
}

async function main(args: readonly string[]): Promise<number> {
  const asked = readArguments(args)
  if (asked === 'help') {
    process.stdout.write(HELP)
    return 0
  }
  if (typeof asked === 'string') {
    process.stderr.write(`${asked}\n${HELP}`)
    return 2
  }
  const { seed, store, workers, minutes, isPlan, isJson } = asked
  const durationMs = minutes * 60_000
  const plan = makePlan({ seed, durationMs, workers, store })
  const print = (line: string) => void process.stderr.write(`${line}\n`)
  print(`chaos: --seed ${seed} --minutes ${minutes} --workers ${workers} --store ${store}; ${plan.length} faults`)
  if (isPlan) {
    process.stdout.write(`${printPlan(plan)}\n`)
    return 0
  }
  print(printPlan(plan))
  const folder = await mkdtemp(join(tmpdir(), 'promptbridge-chaos-'))
  using interrupt = listenForInterrupt()
  const { signal } = interrupt
  const beganAt = Date.now()
  const printWithTime = (line: string) =>
    print(`  ${((Date.now() - beganAt) / 1_000).toFixed(1).padStart(6)} s  ${line}`)
  try {
    const run = { plan, seed, store, workers, durationMs, folder, now: Date.now, print: printWithTime, signal }
    const report = await runChaos(run)
    process.stdout.write(
      isJson ? `${JSON.stringify({ ...report, folder }, undefined, 2)}\n` : `${printReport(report)}\n`,
    )
    if (!holds(report)) {
      print(`run it again with --seed ${seed}; the store and the logs are in ${folder}`)
      return 1
    }
  } catch (error) {
    if (!signal.aborted) print(`the logs are in ${folder}`)
    if (!signal.aborted) throw error
    print('stopped; nothing is left behind')
    await rm(folder, { recursive: true, force: true })
    return INTERRUPTED
  }
  await rm(folder, { recursive: true, force: true })
  return 0
}

function readArguments(args: readonly string[]): Asked | string {
  try {
    const { values } = parseArgs({ args: [...args], options })
    if (values.help) return 'help'
    const drawn = Math.floor(Math.random() * MAX_SEED)
    const [seed, minutes, workers] = [Number(values.seed ?? drawn), Number(values.minutes), Number(values.workers)]
    if (!(Number.isInteger(seed) && seed >= 0 && seed <= MAX_SEED)) return `--seed takes a number from 0 to ${MAX_SEED}`
    if (!(minutes > 0 && minutes <= 1_440)) return '--minutes takes a number above 0'
    if (!(Number.isInteger(workers) && workers >= 1 && workers <= MAX_WORKERS)) return '--workers takes 1 to 8'
    const store = readStore(values.store)
    if (store === undefined)
      return `--store ${values.store} cannot be: ${missingForEmulators() ?? 'emulators or sqlite'}`
    return { seed, minutes, workers, store, isPlan: values.plan, isJson: values.json }
  } catch (error) {
    return error instanceof Error ? error.message : 'the arguments cannot be read'
  }
}

function readStore(asked: string | undefined): StoreKind | undefined {
  if (asked === 'sqlite') return asked
  if (asked !== undefined && asked !== 'emulators') return undefined
  const isThere = missingForEmulators() === undefined
  if (asked === 'emulators') return isThere ? asked : undefined
  return isThere ? 'emulators' : 'sqlite'
}

// A proxy from the environment leads to the internet. Everything here is on this machine.
process.env['no_proxy'] = '*'
try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`the run broke off: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
