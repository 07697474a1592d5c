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
    await copySource(folder)
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

/**
 * Applies all patches, and returns the errors that TypeScript finds: a patch that does not type-check breaks more than its
 * rule. Patches of one line are checked one after the other.
 */
export async function typeCheckPatches(): Promise<string> {
  let left: readonly Patch[] = Object.values(rules).flatMap(({ patches }) => patches)
  let errors = ''
  while (left.length > 0) {
    const folder = await mkdtemp(join(tmpdir(), 'patched-'))
    try {
      await copySource(folder)
      const later: Patch[] = []
      for (const patch of left) {
        const path = join(folder, patch.file)
        const patched = applyPatch(await readFile(path, 'utf8'), patch)
        if (patched === undefined) later.push(patch)
        else await writeFile(path, patched)
      }
      if (later.length === left.length) return `${errors}out of date: ${later.map(({ find }) => find).join('\n')}`
      errors += await typeCheck(folder)
      left = later
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
  return errors
}

async function copySource(folder: string): Promise<void> {
  await Promise.all(ROOMS.map((room) => cp(join(ROOT, room), join(folder, room), { recursive: true })))
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
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
