import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { compileCache } from '../support/compile-cache.ts'

const MAIN = join(import.meta.dirname, '../../cli/main.ts')
const POLL_EVERY_MS = 25
/** Far beyond what a busy machine takes. */
const GIVE_UP_AFTER_MS = 300_000

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A `promptbridge` command as a process, the leader of a process group as it is on a terminal. */
export interface Command {
  readonly ended: Promise<Ended>
  /** Resolves when its standard output matches; rejects when it ends before. */
  printed(pattern: RegExp): Promise<void>
  /** The same for its standard error. */
  noted(pattern: RegExp): Promise<void>
  /** What it has printed so far. */
  stdout(): string
  /** Closes its standard output, as `| head` does. */
  stopReading(): void
  /** Signals the process alone. */
  signal(name: NodeJS.Signals): void
  /** Signals the process and all its children, as Ctrl-C on a terminal does. */
  signalGroup(name: NodeJS.Signals): void
  /** Resolves when neither it nor a child of it is left. Rejects after five minutes. */
  groupEnded(): Promise<void>
}

export interface CommandOptions {
  readonly cwd?: string
  /** Beside PATH, HOME and the compile cache: nothing else of this process's environment reaches the command. */
  readonly env?: Readonly<Record<string, string>>
  /** Another main.ts. */
  readonly main?: string
  /** Its standard input; none when absent. */
  readonly input?: Uint8Array
}

/** Starts a command. Whatever is left of it after the test is killed. */
export function startCommand(
  t: TestContext,
  args: readonly string[],
  { cwd = tmpdir(), env = {}, main = MAIN, input }: CommandOptions = {},
): Command {
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(process.execPath, [main, ...args], {
    cwd,
    env: { PATH, HOME, ...compileCache, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  })
  child.stdin.on('error', () => undefined).end(input)
  const stdout = collect(child.stdout)
  const stderr = collect(child.stderr)
  const ended = once(child, 'close').then(([code]: (number | null)[]) => ({
    code: code ?? null,
    stdout: stdout.text(),
    stderr: stderr.text(),
  }))
  async function untilMatched(stream: NodeJS.ReadableStream, collected: { text(): string }, pattern: RegExp) {
    const tooEarly = ended.then(({ stderr }) => Promise.reject(new Error(`ended before ${pattern}: ${stderr}`)))
    while (!pattern.test(collected.text())) await Promise.race([once(stream, 'data'), tooEarly])
  }
  const signalGroup = (name: NodeJS.Signals | 0) => process.kill(-groupOf(child), name)
  t.after(() => {
    if (isAlive(signalGroup)) signalGroup('SIGKILL')
  })
  return {
    ended,
    stdout: stdout.text,
    printed: (pattern) => untilMatched(child.stdout, stdout, pattern),
    noted: (pattern) => untilMatched(child.stderr, stderr, pattern),
    stopReading: () => void child.stdout.destroy(),
    signal: (name) => void child.kill(name),
    signalGroup,
    groupEnded: () => until(() => !isAlive(signalGroup), 'a process of the group is left'),
  }
}

/** Runs a command to its end. */
export function runCommand(t: TestContext, args: readonly string[], options?: CommandOptions): Promise<Ended> {
  return startCommand(t, args, options).ended
}

/** A folder that is gone after the test. */
export async function newFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'promptbridge-'))
  t.after(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  return folder
}

function collect(stream: NodeJS.ReadableStream): { text(): string } {
  let text = ''
  stream.setEncoding('utf8').on('data', (chunk) => {
    text += chunk
  })
  return { text: () => text }
}

function groupOf({ pid }: ChildProcess): number {
  if (pid === undefined) throw new Error('the command was not started')
  return pid
}

function isAlive(signalGroup: (name: 0) => boolean): boolean {
  try {
    return signalGroup(0)
  } catch {
    return false
  }
}

/** Looks until the condition holds. Rejects with the problem after five minutes. */
export async function until(condition: () => boolean | Promise<boolean>, problem: string): Promise<void> {
  const deadline = Date.now() + GIVE_UP_AFTER_MS
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`${problem} after ${GIVE_UP_AFTER_MS} ms`)
    await delay(POLL_EVERY_MS)
  }
}
