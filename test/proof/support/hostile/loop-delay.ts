// Loaded into a worker before its own code: on SIGUSR2 it writes for how long the event loop was blocked at the longest.
import { appendFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'

const { LOOP_DELAY_FILE } = process.env
if (LOOP_DELAY_FILE === undefined) throw new Error('LOOP_DELAY_FILE is missing')
const delays = monitorEventLoopDelay({ resolution: 1 })
delays.enable()
process.on('SIGUSR2', () => {
  appendFileSync(LOOP_DELAY_FILE, `${delays.max}\n`)
  delays.reset()
})
