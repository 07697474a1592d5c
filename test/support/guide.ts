import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { compileCache } from './compile-cache.ts'

const ROOT = join(import.meta.dirname, '../..')
/** Examples import the built client; here its source is imported. */
const RESOLVE = join(ROOT, 'test/support/resolve-client.mjs')
const IN_REPOSITORY = 'npm run promptbridge --'
const INSTALLED = 'npx promptbridge'

/** The commands of a block of a guide, and what the guide says that they print, if it does. */
export interface GuideStep {
  readonly commands: string
  readonly printed: string | undefined
}

/** The `sh` blocks of a page, in order, each with the `text` block that follows it. */
export function guideSteps(page: string): readonly GuideStep[] {
  const blocks = [...readFileSync(join(ROOT, page), 'utf8').matchAll(/^( *)```(\w+)\n([\s\S]*?)^ *```$/gm)].map(
    ([, indent = '', language, text = '']) => ({ language, text: text.replaceAll(new RegExp(`^${indent}`, 'gm'), '') }),
  )
  return blocks.flatMap(({ language, text }, n) => {
    const next = blocks[n + 1]
    return language === 'sh' ? [{ commands: text, printed: next?.language === 'text' ? next.text : undefined }] : []
  })
}

export interface StepOptions {
  readonly cwd: string
  /** Beside PATH, HOME and the compile cache: nothing else of this process's environment reaches the commands. */
  readonly env?: Readonly<Record<string, string>>
}

/** A step that runs in bash, with the source of the commands in place of what was built. */
export interface RunningStep {
  readonly closed: Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>
  /** Resolves when its output matches; rejects when it ends before. */
  until(pattern: RegExp): Promise<void>
}

/** Starts a step of a guide. What is left of it after the test is ended. */
export function startStep(t: TestContext, { commands }: GuideStep, { cwd, env = {} }: StepOptions): RunningStep {
  const { PATH = '', HOME = '' } = process.env
  const script = commands
    .replaceAll(/npm run promptbridge --|npx promptbridge/g, `${process.execPath} ${join(ROOT, 'cli/main.ts')}`)
    .replaceAll('node docs/', `${process.execPath} --import ${RESOLVE} ${ROOT}/docs/`)
  const child = spawn('bash', ['-ec', script], {
    ...{ cwd, env: { PATH, HOME, ...compileCache, ...env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  })
  t.after(() => end(child))
  const printed = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text) => {
      printed[name] += text
    })
  }
  const closed = once(child, 'close').then(([code]: (number | null)[]) => ({ code: code ?? null, ...printed }))
  return {
    closed,
    async until(pattern) {
      const ended = closed.then(({ stderr }) => assert.fail(`ended before ${pattern}: ${printed.stdout}${stderr}`))
      while (!pattern.test(printed.stdout)) await Promise.race([once(child.stdout, 'data'), ended])
    },
  }
}

/** Runs a step to its end. It must print what the guide says, and succeed or end with `code`. */
export async function runStep(t: TestContext, step: GuideStep, options: StepOptions & { readonly code?: number }) {
  const { code, stdout, stderr } = await startStep(t, step, options).closed
  assert.equal(code, options.code ?? 0, `${step.commands}${stdout}${stderr}`)
  if (step.printed !== undefined) assertPrinted(stdout, step.printed)
}

/** An ellipsis in the guide stands for text of a line that it leaves out. */
function assertPrinted(stdout: string, printed: string): void {
  const expected = lasting(printed).split('\n')
  const found = lasting(stdout).split('\n')
  const shortened = found.map((line, n) => {
    const [start = '', ending] = expected[n]?.split('…') ?? []
    return ending !== undefined && line.startsWith(start) && line.endsWith(ending) ? expected[n] : line
  })
  assert.deepEqual(shortened, expected)
}

/** What a command prints, without what differs from one time to the next. */
function lasting(printed: string): string {
  return (
    printed
      .replaceAll(IN_REPOSITORY, INSTALLED)
      .replaceAll(/[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/g, 'REQUEST')
      .replaceAll(/\d{4}-\d{2}-\d{2}/g, 'DATE')
      // Printed only if jobs were still running when the command began to look.
      .replaceAll(/^(rate|time left) .*\n/gm, '')
  )
}

function end({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, 'SIGTERM')
}
