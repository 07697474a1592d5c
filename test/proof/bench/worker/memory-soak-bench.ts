import { join } from 'node:path'
import type { Bench } from '../harness/bench.ts'
import { buildWorker } from '../harness/build.ts'
import { setStage } from '../overhead/stage.ts'

const OURS = 'ours'

export const bench: Bench = {
  title: 'Many jobs through one worker, over 50 connections: what is left in its heap',
  rounds: 1,
  // With as many before them, which are not counted: until then V8 makes code of what it has seen, and that stays.
  jobsPerRound: 25_000,
  bars: [
    { contestant: OURS, metric: 'model calls/job', is: 'exactly', value: 1 },
    { contestant: OURS, metric: 'heap growth %', is: 'at most', value: 2 },
  ],
  async open() {
    await using started = new AsyncDisposableStack()
    const stage = started.use(await setStage())
    const settings = { STORE: `sqlite:${join(stage.folder, 'state.db')}` }
    const { server, run } = await stage.ours(OURS, settings, await buildWorker(stage.folder))
    const soak = {
      name: OURS,
      async run(jobs: number, round: number) {
        const before = (await server.usageWithoutGarbage()).heapMiB
        const { values, ...sample } = await run(jobs, round)
        const after = (await server.usageWithoutGarbage()).heapMiB
        const heap = { 'heap MiB, first': before, 'heap MiB, last': after, 'heap growth %': (after / before - 1) * 100 }
        return { ...sample, values: { ...values, ...heap } }
      },
    }
    const cleanups = started.move()
    return { contestants: [soak], [Symbol.asyncDispose]: () => cleanups.disposeAsync() }
  },
}
