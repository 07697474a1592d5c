import { join } from 'node:path'
import { startEmulator } from '../../../../cli/emulators.ts'
import type { Bench } from '../harness/bench.ts'
import { setStage } from './stage.ts'

const BASELINE = join(import.meta.dirname, '../baselines/express-firestore-worker.ts')
const EXPRESS = 'express + create + update'
const OURS = 'ours'

export const bench: Bench = {
  title: 'The same with a record of each job in Firestore’s emulator',
  rounds: 5,
  jobsPerRound: 1_000,
  bars: [
    { contestant: OURS, metric: 'model calls/job', is: 'exactly', value: 1 },
    { contestant: OURS, metric: 'CPU ms/job', is: 'at most', value: 0.6, timesThatOf: EXPRESS },
  ],
  async open() {
    await using started = new AsyncDisposableStack()
    const emulator = started.adopt(await startEmulator('firestore'), (own) => own.close())
    const stage = started.use(await setStage())
    const env = { FIRESTORE_EMULATOR_HOST: emulator.address, METADATA_SERVER_DETECTION: 'none' }
    const contestants = [
      await stage.contestant(EXPRESS, BASELINE, env),
      await stage.ours(OURS, { ...env, STORE: 'firestore' }),
    ]
    const cleanups = started.move()
    return { contestants, [Symbol.asyncDispose]: () => cleanups.disposeAsync() }
  },
}
