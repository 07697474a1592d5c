import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { z } from 'zod'

/** A process of its own, asked over IPC one question at a time. */
export interface Child extends AsyncDisposable {
  /** Rejects when the process ends without an answer, or answers something else. */
  ask<T>(question: object, answer: z.ZodType<T>): Promise<T>
  /** Standard output, as far as it is not read yet. */
  readonly output: NodeJS.ReadableStream | null
}

export interface ChildOptions {
  readonly args?: readonly string[]
  /** All of its environment. */
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Modules that are loaded before its own. */
  readonly imports?: readonly string[]
  /** Whether its standard output is read here; else it goes where this process's errors go. */
  readonly readsOutput?: boolean
}

/** Starts a module in a process of its own; its end is the end of the process. */
export function startChild(module: string, options: ChildOptions = {}): Child {
  const { args = [], env = {}, cwd, imports = [], readsOutput = false } = options
  const child = fork(module, args, {
    env,
    ...(cwd === undefined ? {} : { cwd }),
    execArgv: imports.flatMap((each) => ['--import', each]),
    stdio: ['ignore', readsOutput ? 'pipe' : 2, 'inherit', 'ipc'],
  })
  const ended = once(child, 'exit')
  return {
    output: child.stdout,
    async ask(question, answer) {
      const gone = new AbortController()
      const replied = once(child, 'message', { signal: gone.signal })
      // A process that has ended answers no question. Its end is reported instead.
      child.send(question, () => undefined)
      try {
        const [reply] = await Promise.race([replied, ended.then(() => diedOf(module, child))])
        return answer.parse(reply)
      } finally {
        gone.abort()
        replied.catch(() => undefined)
      }
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

function diedOf(module: string, { exitCode, signalCode }: ChildProcess): never {
  throw new Error(`${module} ended (${exitCode ?? signalCode}) and left a question without an answer`)
}
