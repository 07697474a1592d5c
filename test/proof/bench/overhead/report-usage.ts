/**
 * A module that is loaded before a server's own, and reports what the process uses when its parent asks. It is JavaScript:
 * with TypeScript, each process would load Node's compiler for it.
 *
 * The heap is what remains when all that can go has gone. Code that only the start needed is kept: V8 would drop it some
 * minutes later, and hide as much growth.
 */
const SOURCE = `
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--no-flush-bytecode')
setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc')

process.on('message', async ({ heap }) => {
  const { user, system } = process.cpuUsage()
  const used = { cpuMs: (user + system) / 1_000, peakMiB: process.resourceUsage().maxRSS / 1_024 }
  for (let n = 0; heap && n < 10; n += 1) {
    collectGarbage()
    await turn()
  }
  const { heapUsed, rss } = process.memoryUsage()
  process.send({ ...used, heapMiB: heapUsed / 1_048_576, rssMiB: rss / 1_048_576 })
})
process.once('disconnect', () => process.exit())
`

export const REPORT_USAGE = `data:text/javascript,${encodeURIComponent(SOURCE)}`
