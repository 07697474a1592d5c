import { Worker } from 'node:worker_threads'
import { z } from 'zod'
import { addTo, type Exercised, situations } from './exercised.ts'
import { type Breach, invariantNames } from './invariants.ts'
import type { Happening } from './world.ts'

export interface Failure {
  readonly seed: number
  readonly breaches: readonly Breach[]
  readonly history: readonly Happening[]
}

export interface Summary {
  /** How many histories were run to their end. */
  readonly seeds: number
  readonly exercised: Exercised
  /** The longest that a job took to end when nothing failed any more, in milliseconds. */
  readonly longestEndMs: number
  /** Least seed first. */
  readonly failures: readonly Failure[]
}

export interface SeedRange {
  readonly from: number
  readonly seeds: number
  readonly threads: number
  /** Whether this is enough, and no further history is wanted. */
  readonly isEnough: (breaches: readonly Breach[]) => boolean
  /** Hears how many are done. */
  readonly onProgress: (done: number) => void
}

const seedResult = z.object({
  seed: z.number(),
  breaches: z.array(z.object({ invariant: z.enum(invariantNames), what: z.string() })),
  exercised: z.map(z.enum(situations), z.number()),
  history: z.array(z.object({ at: z.number(), who: z.string(), what: z.string() })),
  longestEndMs: z.number(),
})

/** Runs a range of seeds on several threads. Rejects where one of them breaks off. */
export async function runSeeds({ from, seeds, threads, isEnough, onProgress }: SeedRange): Promise<Summary> {
  const exercised: Exercised = new Map()
  const failures: Failure[] = []
  let [done, longestEndMs] = [0, 0]
  // Read before each history. A thread that is terminated in the middle of one can take the process with it.
  const stopped = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  const workers = Array.from({ length: Math.min(threads, seeds) }, (_, n) => {
    const workerData = { first: from + n, step: threads, end: from + seeds, stopped }
    return new Worker(new URL('./seed-thread.ts', import.meta.url), { workerData })
  })
  const stop = () => Atomics.store(stopped, 0, 1)
  const take = (message: unknown) => {
    const result = seedResult.parse(message)
    const { seed, breaches, history } = result
    done += 1
    addTo(exercised, result.exercised)
    longestEndMs = Math.max(longestEndMs, result.longestEndMs)
    if (breaches.length > 0) failures.push({ seed, breaches, history })
    onProgress(done)
    if (isEnough(breaches)) stop()
  }
  try {
    await Promise.all(workers.map((worker) => untilEnd(worker, take)))
  } finally {
    stop()
  }
  return { seeds: done, exercised, longestEndMs, failures: failures.sort((a, b) => a.seed - b.seed) }
}

function untilEnd(worker: Worker, take: (message: unknown) => void): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  worker.on('message', take)
  worker.on('error', reject)
  worker.on('exit', () => resolve())
  return promise
}
