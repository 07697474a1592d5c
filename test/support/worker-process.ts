import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { z } from 'zod'
import { compileCache } from './compile-cache.ts'

const MAIN = join(import.meta.dirname, '../../worker/main.ts')

/** A worker as a process of its own. */
export interface WorkerProcess extends AsyncDisposable {
  readonly pid: number
  /** The first log line whose message says this, when it has come. */
  logged(message: RegExp): Promise<Readonly<Record<string, unknown>>>
  /** Where it listens, when it does. */
  url(): Promise<string>
  kill(signal: NodeJS.Signals): void
  /** How it ended, when it has. */
  readonly ended: Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>
}

const line = z.looseObject({ message: z.string() })
const listening = z.looseObject({ address: z.object({ port: z.number() }) })

/** Starts it in a folder, with nothing in its environment but what is given, and the compile cache; `node`: options of Node's own. */
export function startWorkerProcess(
  cwd: string,
  env: Readonly<Record<string, string>>,
  node: readonly string[] = [],
): WorkerProcess {
  return watchWorker(
    spawn(process.execPath, [...node, MAIN], {
      cwd,
      env: { ...compileCache, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  )
}

/** Reads along with a worker that was started, in whatever way. */
export function watchWorker(child: ChildProcessByStdio<null, Readable, Readable>): WorkerProcess {
  const lines: string[] = []
  let stderr = ''
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const waiting: (() => void)[] = []
  const wake = () => {
    for (const again of waiting.splice(0)) again()
  }
  createInterface({ input: child.stdout }).on('line', (text) => {
    lines.push(text)
    wake()
  })
  const ended = once(child, 'close').then(([code]) => {
    wake()
    return { code: z.number().nullable().parse(code), stdout: lines.join('\n'), stderr }
  })

  async function logged(message: RegExp) {
    for (;;) {
      const found = lines.map((text) => line.parse(JSON.parse(text))).find((entry) => message.test(entry.message))
      if (found !== undefined) return found
      if (child.exitCode !== null) throw new Error(`the worker ended before it said ${message}: ${stderr}`)
      await new Promise<void>((resolve) => waiting.push(resolve))
    }
  }
  const { pid } = child
  if (pid === undefined) throw new Error('the worker was not started')
  return {
    pid,
    logged,
    url: async () => `http://127.0.0.1:${listening.parse(await logged(/listening/)).address.port}`,
    kill: (signal) => child.kill(signal),
    ended,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended
    },
  }
}
