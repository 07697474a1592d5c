import { join } from 'node:path'
import type { Bench } from '../harness/bench.ts'
import { setStage } from './stage.ts'

const BASELINES = join(import.meta.dirname, '../baselines')
const EXPRESS = 'express + openai'
const OURS = 'ours'

export const bench: Bench = {
  title: 'A worker around a model that answers at once: what a push costs, over 50 connections',
  rounds: 5,
  jobsPerRound: 2_000,
  bars: [
    { contestant: OURS, metric: 'model calls/job', is: 'exactly', value: 1 },
    // The baseline keeps nothing; ours syncs two records to the disk, whose share varies with the machine.
    { contestant: OURS, metric: 'CPU ms/job', is: 'at most', value: 1, timesThatOf: EXPRESS },
  ],
  async open() {
    await using started = new AsyncDisposableStack()
    const stage = started.use(await setStage())
    const contestants = [
      await stage.contestant(EXPRESS, join(BASELINES, 'express-worker.ts')),
      await stage.contestant('bare node:http', join(BASELINES, 'bare-http-worker.ts')),
      await stage.ours(OURS, { STORE: `sqlite:${join(stage.folder, 'state.db')}` }),
    ]
    const cleanups = started.move()
    return { contestants, [Symbol.asyncDispose]: () => cleanups.disposeAsync() }
  },
}
