import { parentPort, workerData } from 'node:worker_threads'
import { z } from 'zod'
import { runSeed } from './run-seed.ts'

const share = z.object({ first: z.number(), step: z.number(), end: z.number(), stopped: z.instanceof(Int32Array) })

/** A thread's share of the seeds: each result goes to the parent as soon as it is there; a history only where it is of use. */
// A stack costs more than all else that a call that is turned away does; `--seed` prints it.
Error.stackTraceLimit = 0
const { first, step, end, stopped } = share.parse(workerData)
for (let seed = first; seed < end && Atomics.load(stopped, 0) === 0; seed += step) {
  const { history, ...result } = await runSeed(seed)
  parentPort?.postMessage({ ...result, history: result.breaches.length > 0 ? history : [] })
}
