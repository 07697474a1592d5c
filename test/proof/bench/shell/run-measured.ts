import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { z } from 'zod'

const took = z.object({ code: z.number(), wallMs: z.number(), cpuMs: z.number(), peakMiB: z.number() })
export type Took = z.infer<typeof took>

/** Runs a module as a process with its standard output in a file. Rejects unless it exits with 0. */
export async function runMeasured(module: string, args: readonly string[], output: string): Promise<Took> {
  const child = spawn(process.execPath, [module, ...args], { stdio: ['ignore', openSync(output, 'w'), 'pipe'] })
  const [printed] = await Promise.all([child.stderr ? text(child.stderr) : '', once(child, 'close')])
  const found = took.parse(JSON.parse(printed.trim().split('\n').at(-1) ?? ''))
  if (found.code !== 0) throw new Error(`${args.join(' ')} exited with ${found.code}: ${printed}`)
  return found
}
