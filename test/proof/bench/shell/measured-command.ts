// Runs a command in this process, and prints what it took as one line of JSON on standard error.
import { runCommandLine } from '../../../../cli/command-line.ts'

const startedAt = performance.now()
await runCommandLine(process.argv.slice(2), process.env)
const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
const took = {
  code: process.exitCode ?? 0,
  wallMs: performance.now() - startedAt,
  cpuMs: (userCPUTime + systemCPUTime) / 1_000,
  peakMiB: maxRSS / 1_024,
}
process.stderr.write(`\n${JSON.stringify(took)}\n`)
