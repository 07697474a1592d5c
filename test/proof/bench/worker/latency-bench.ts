import { join } from 'node:path'
import type { Bench } from '../harness/bench.ts'
import { setStage, type ValuesOf } from './stage.ts'

const EXPRESS = 'express + openai'
const OURS = 'ours'

export const bench: Bench = {
  title: 'What a worker adds to the 200 ms of a model, at 100 jobs a second',
  rounds: 5,
  jobsPerRound: 1_000,
  bars: [
    { contestant: OURS, metric: 'added ms, p50', is: 'at most', value: 2 },
    { contestant: OURS, metric: 'added ms, p99', is: 'at most', value: 10 },
  ],
  async open() {
    await using started = new AsyncDisposableStack()
    const stage = started.use(await setStage({ paced: { perSecond: 100, modelMs: 200 } }))
    const valuesOf: ValuesOf = ({ p50, p99 }) => ({ 'added ms, p50': p50, 'added ms, p99': p99 })
    const contestants = [
      await stage.express(EXPRESS, valuesOf),
      await stage.ours(OURS, { STORE: `sqlite:${join(stage.folder, 'state.db')}` }, valuesOf),
    ]
    const cleanups = started.move()
    return { contestants, [Symbol.asyncDispose]: () => cleanups.disposeAsync() }
  },
}
