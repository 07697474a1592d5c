import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** A process of ours, from its start to its end. */
export interface Child {
  readonly process: ChildProcess
  readonly logPath: string
  /** Resolves with the exit code; null when a signal ended it. */
  readonly exited: Promise<number | null>
  /** Asks it to end (SIGTERM) and waits until it has. */
  stop(): Promise<number | null>
}

export interface ChildOptions {
  /** A TypeScript file. */
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
export function startChild({ file, args, folder, environment, log, isHeard }: ChildOptions): Child {
  const logPath = join(folder, log)
  const output = openSync(logPath, 'a')
  const child = spawn(process.execPath, [file, ...args], {
    cwd: folder,
    env: { ...environment },
    stdio: ['ignore', isHeard ? 'pipe' : output, output, 'ipc'],
  })
  const exited = once(child, 'exit').then(([code]: (number | null)[]) => code ?? null)
  return {
    process: child,
    logPath,
    exited,
    stop() {
      child.kill('SIGTERM')
      return exited
    },
  }
}

/** The first line that a child prints. Rejects when it ends without one. */
export async function firstLine(child: Child): Promise<string> {
  const { stdout } = child.process
  if (stdout === null) throw new Error('what this child prints goes to its log')
  const ended = child.exited.then((code) =>
    Promise.reject(new Error(`ended with code ${code} before it was ready; ${child.logPath} says why`)),
  )
  const [line] = await Promise.race([once(createInterface(stdout), 'line'), ended])
  return String(line)
}
