import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { PRIVATE_FILE } from '../shared/lib/private-files.ts'

/** A child process that we started. */
export interface Child {
  /** Its name in messages: "the worker". */
  readonly name: string
  readonly stdout: ChildProcess['stdout']
  readonly logPath: string
  /** Resolves with the exit code; null when a signal ended it. */
  readonly exited: Promise<number | null>
  /** Sends a signal, and does not wait. */
  signal(name: NodeJS.Signals): void
  /** Sends SIGTERM, and waits until it has ended. */
  stop(): Promise<number | null>
  /** Sends SIGKILL, and waits until it has ended. */
  kill(): Promise<number | null>
}

export interface ChildOptions {
  readonly name: string
  /** The file that Node runs. */
  readonly file: string
  readonly args: readonly string[]
  /** Its working directory, which also contains its log. */
  readonly folder: string
  readonly environment: Readonly<Record<string, string>>
  /** Relative to it. */
  readonly log: string
  /** Whether its standard output goes to this process and not to the log. */
  readonly isHeard: boolean
}

/** Starts a file with this Node. The child can see the end of this process: its IPC channel disconnects. */
export function startChild({ name, file, args, folder, environment, log, isHeard }: ChildOptions): Child {
  const logPath = resolve(folder, log)
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

/** The first line that a child prints. Rejects when `signal` is aborted. Does not resolve if the child ends without one. */
export async function firstLine({ stdout }: Child, signal: AbortSignal): Promise<string> {
  if (stdout === null) throw new Error('the output of this child goes to its log')
  const [line] = await once(createInterface(stdout), 'line', { signal })
  return String(line)
}

/** Rejects when a child ends, with the path of its log. */
export async function untilEnded({ name, exited, logPath }: Child): Promise<never> {
  const code = await exited
  const how = code === null ? 'was ended by a signal' : `ended with code ${code}`
  throw new Error(`${name} ${how}; see ${logPath}`)
}
