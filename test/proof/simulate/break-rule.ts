import { spawn } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { z } from 'zod'
import { type Patch, type Rule, rules } from './rules.ts'

const ROOT = join(import.meta.dirname, '../../..')
/** What the simulation is made of. */
const ROOMS = [
  'worker',
  'shared',
  'cli',
  'test/proof/simulate',
  'test/proof/support/seeded-random.ts',
  'test/support/deployment-builders.ts',
  'test/support/job-dependencies.ts',
  'test/support/job-processing.ts',
  'test/fixtures',
  'package.json',
]

const childReport = z.object({
  seeds: z.number(),
  breaches: z.array(z.object({ seed: z.number(), invariant: z.string(), what: z.string() })),
})

interface SeedRange {
  readonly from: number
  readonly seeds: number
}

/** Breaks one rule in a copy of the source, and simulates it there until an invariant is breached. Gives the exit code. */
export async function breakRule(name: string, range: SeedRange): Promise<0 | 2 | 3> {
  const rule = rules[name]
  if (rule === undefined) return 2
  const folder = await mkdtemp(join(tmpdir(), 'broken-'))
  try {
    await Promise.all(ROOMS.map((room) => cp(join(ROOT, room), join(folder, room), { recursive: true })))
    await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
    for (const patch of rule.patches) {
      const patched = applyPatch(await readFile(join(folder, patch.file), 'utf8'), patch)
      if (patched === undefined) {
        process.stderr.write(
          `the patch of "${name}" is out of date: what it changes does not stand once in ${patch.file}\n`,
        )
        return 2
      }
      await writeFile(join(folder, patch.file), patched)
    }
    const typeErrors = await typeCheck(folder)
    if (typeErrors !== '') {
      process.stderr.write(
        `the patch of "${name}" does not type-check, so it breaks more than the rule:\n${typeErrors}`,
      )
      return 2
    }
    return report(name, rule, await simulateIn(folder, rule, range))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Undefined, where what is to be changed does not stand there exactly once. */
export function applyPatch(source: string, { find, replace }: Patch): string | undefined {
  const [before, after, ...more] = source.split(find)
  return before === undefined || after === undefined || more.length > 0 ? undefined : before + replace + after
}

/** The errors that TypeScript prints; empty if there are none. A patch may leave a name without a use. */
async function typeCheck(folder: string): Promise<string> {
  const compilerOptions = { noUnusedLocals: false, noUnusedParameters: false }
  const files = ['worker/main.ts', 'test/proof/simulate/main.ts', 'test/proof/simulate/seed-thread.ts']
  const settings = { extends: './tsconfig.base.json', compilerOptions, include: [], files }
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(settings))
  await cp(join(ROOT, 'tsconfig.json'), join(folder, 'tsconfig.base.json'))
  const tsc = spawn(join(ROOT, 'node_modules/.bin/tsc'), ['-p', folder], { stdio: ['ignore', 'pipe', 'inherit'] })
  return text(tsc.stdout)
}

async function simulateIn(folder: string, { invariant }: Rule, { from, seeds }: SeedRange) {
  const args = [
    'test/proof/simulate/main.ts',
    '--json',
    '--from',
    String(from),
    '--seeds',
    String(seeds),
    '--until',
    invariant,
  ]
  const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] })
  return childReport.parse(JSON.parse(await text(child.stdout)))
}

function report(name: string, { invariant }: Rule, { seeds, breaches }: z.infer<typeof childReport>): 0 | 3 {
  const first = breaches.find((breach) => breach.invariant === invariant)
  if (first === undefined) {
    process.stdout.write(`✗ "${name}" is broken, and ${seeds} histories do not show it\n`)
    return 0
  }
  process.stdout.write(`✓ "${name}" is broken, and seed ${first.seed} shows it: ${first.invariant}: ${first.what}\n`)
  return 3
}
