import { join } from 'node:path'
import type { Bench } from '../harness/bench.ts'
import { setStage, type ValuesOf } from './stage.ts'

const EXPRESS = 'express + openai'
const OURS = 'ours'
const JOBS = 1_000

export const bench: Bench = {
  title: 'A thousand small jobs under way at the same time: the most memory that a worker has held',
  rounds: 5,
  jobsPerRound: JOBS,
  bars: [{ contestant: OURS, metric: 'peak MiB', is: 'at most', value: 200 }],
  async open() {
    await using started = new AsyncDisposableStack()
    const stage = started.use(await setStage({}))
    const valuesOf: ValuesOf = (_, { peakMiB, rssMiB }) => ({ 'peak MiB': peakMiB, 'MiB afterwards': rssMiB })
    const settings = { STORE: `sqlite:${join(stage.folder, 'state.db')}`, MAX_IN_FLIGHT: String(JOBS) }
    const contestants = [await stage.express(EXPRESS, valuesOf), await stage.ours(OURS, settings, valuesOf)]
    const cleanups = started.move()
    return { contestants, [Symbol.asyncDispose]: () => cleanups.disposeAsync() }
  },
}
