import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { PRIVATE_FILE } from '../shared/lib/private-files.ts'

/** A process of ours, from its start to its end. */
export interface Child {
  /** What people call it: "the worker". */
  readonly name: string
  readonly stdout: ChildProcess['stdout']
  readonly logPath: string
  /** Resolves with the exit code; null when a signal ended it. */
  readonly exited: Promise<number | null>
  /** Signals it, and waits for nothing. */
  signal(name: NodeJS.Signals): void
  /** Asks it to end (SIGTERM) and waits until it has. */
  stop(): Promise<number | null>
  /** Ends it at once (SIGKILL), whatever it does, and waits until it has ended. */
  kill(): Promise<number | null>
}

export interface ChildOptions {
  readonly name: string
  /** What Node is to run. */
  readonly file: string
  readonly args: readonly string[]
  /** Its working directory, where its log goes too. */
  readonly folder: string
  readonly environment: Readonly<Record<string, string>>
  readonly log: string
  /** Whether this process reads what it prints, instead of the log. */
  readonly isHeard: boolean
}

/** Starts a file with this Node. It learns of the end of this process by the end of their channel. */
export function startChild({ name, file, args, folder, environment, log, isHeard }: ChildOptions): Child {
  const logPath = join(folder, log)
  const output = openSync(logPath, 'a', PRIVATE_FILE)
  const child = spawn(process.execPath, [file, ...args], {
    cwd: folder,
    env: { ...environment },
    stdio: ['ignore', isHeard ? 'pipe' : output, output, 'ipc'],
  })
  closeSync(output)
  const exited = once(child, 'exit').then(([code]: (number | null)[]) => code ?? null)
  return {
    name,
    stdout: child.stdout,
    logPath,
    exited,
    signal: (name) => void child.kill(name),
    stop() {
      child.kill('SIGTERM')
      return exited
    },
    kill() {
      child.kill('SIGKILL')
      return exited
    },
  }
}

/** The first line that a child prints. Rejects when `signal` is raised; never resolves for a child that ends without one. */
export async function firstLine({ stdout }: Child, signal: AbortSignal): Promise<string> {
  if (stdout === null) throw new Error('what this child prints goes to its log')
  const [line] = await once(createInterface(stdout), 'line', { signal })
  return String(line)
}

/** Rejects when a child ends, and says where to read why. */
export async function untilEnded({ name, exited, logPath }: Child): Promise<never> {
  const code = await exited
  const how = code === null ? 'was ended by a signal' : `ended with code ${code}`
  throw new Error(`${name} ${how}; ${logPath} says why`)
}
