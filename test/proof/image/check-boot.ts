import { runContainer } from './container.ts'
import type { Image } from './perform-stages.ts'
import { IDLE, runWorker, stopWorker } from './run-worker.ts'

const RUNS = 7

/** Throws unless Node takes the compiled code that the image brings, and does without where it finds none. */
export async function checkCompiledCode(image: Image, state: string): Promise<void> {
  const { root, workdir, uid, gid, entrypoint, command } = image
  // Without settings the worker is loaded and ends at once; Node says on the way where its code came from.
  const env = { ...image.env, NODE_DEBUG_NATIVE: 'COMPILE_CACHE' }
  const { output } = await runContainer([...entrypoint, ...command], { root, workdir, uid, gid, env, isReadOnly: true })
  if (!/worker\.mjs was accepted/.test(output)) throw new Error(`Node does not take the compiled code:\n${output}`)
  await timeToReady(image, state, { ...IDLE, NODE_COMPILE_CACHE: '/nowhere' })
}

/** Says how long a worker with these settings takes from its start to its first 200 on /readyz. */
export async function measureBoot(image: Image, state: string, env: Readonly<Record<string, string>>): Promise<string> {
  const warm: number[] = []
  const cold: number[] = []
  for (let run = 0; run < RUNS; run += 1) {
    warm.push(await timeToReady(image, state, env))
    cold.push(await timeToReady(image, state, { ...env, NODE_DISABLE_COMPILE_CACHE: '1' }))
  }
  return `ready after ${median(warm)} ms with compiled code, ${median(cold)} ms without (medians of ${RUNS})`
}

async function timeToReady(image: Image, state: string, env: Readonly<Record<string, string>>): Promise<number> {
  const started = performance.now()
  await using worker = runWorker(image, state, env)
  const { status } = await fetch(`${await worker.url()}/readyz`)
  const passed = performance.now() - started
  if (status !== 200) throw new Error(`/readyz answers ${status}`)
  await stopWorker(worker)
  return passed
}

function median(values: readonly number[]): string {
  return (values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN).toFixed(0)
}
