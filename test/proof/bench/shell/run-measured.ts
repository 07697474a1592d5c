import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { z } from 'zod'

const took = z.object({ code: z.number(), wallMs: z.number(), cpuMs: z.number(), peakMiB: z.number() })
export type Took = z.infer<typeof took>

/** Runs a module that prints what it took, as a process with its standard output in a file. */
export function runMeasured(module: string, args: readonly string[], output: string): Promise<Took> {
  return run([module, ...args], output)
}

/** Runs the built command in this folder. The process reports what it took when it exits. */
export function runCommand(folder: string, args: readonly string[], output: string): Promise<Took> {
  return run(['--import', REPORT, join(folder, 'cli.mjs'), ...args], output)
}

const REPORT = `data:text/javascript,${encodeURIComponent(`process.on('exit', (code) => {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
  const cpuMs = (userCPUTime + systemCPUTime) / 1_000
  const took = { code, wallMs: performance.now(), cpuMs, peakMiB: maxRSS / 1_024 }
  process.stderr.write('\\n' + JSON.stringify(took) + '\\n')
})`)}`

/** Rejects unless the process exits with 0. */
async function run(args: readonly string[], output: string): Promise<Took> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', openSync(output, 'w'), 'pipe'] })
  const [printed] = await Promise.all([child.stderr ? text(child.stderr) : '', once(child, 'close')])
  const found = took.parse(JSON.parse(printed.trim().split('\n').at(-1) ?? ''))
  if (found.code !== 0) throw new Error(`${args.join(' ')} exited with ${found.code}: ${printed}`)
  return found
}
