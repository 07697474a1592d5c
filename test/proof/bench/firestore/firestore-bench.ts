import { join } from 'node:path'
import { startEmulator } from '../../../../cli/emulators.ts'
import type { Bench, Contestant, Sample } from '../harness/bench.ts'
import { type Child, startChild } from '../harness/child.ts'
import { type CountingWire, countOperations } from './count-operations.ts'
import { roundAnswer } from './rounds.ts'

const OURS = 'ours'
const CREATE_UPDATE = 'create + update'
const TRANSACTIONS = 'two transactions'

const CPU = 'CPU ms/job'

const MODULES = {
  [CREATE_UPDATE]: join(import.meta.dirname, '../baselines/firestore-create-update.ts'),
  [TRANSACTIONS]: join(import.meta.dirname, '../baselines/firestore-transactions.ts'),
  [OURS]: join(import.meta.dirname, 'ours.ts'),
}

/** Jobs a round whose calls are counted on the wire. */
const COUNTED_JOBS = 100

export const bench: Bench = {
  title: 'Claiming and settling a job in Firestore: operations on the wire, and processor time of the client',
  rounds: 5,
  jobsPerRound: 1_000,
  bars: [
    { contestant: OURS, metric: 'writes/job', is: 'exactly', value: 2 },
    { contestant: OURS, metric: 'reads/job', is: 'exactly', value: 0 },
    { contestant: OURS, metric: 'reads/duplicate', is: 'at most', value: 1 },
    { contestant: OURS, metric: 'applied writes/duplicate', is: 'exactly', value: 0 },
    { contestant: OURS, metric: CPU, is: 'at most', value: 0.4, timesThatOf: CREATE_UPDATE },
    { contestant: OURS, metric: CPU, is: 'at most', value: 0.3, timesThatOf: TRANSACTIONS },
  ],
  async open() {
    await using started = new AsyncDisposableStack()
    const emulator = started.adopt(await startEmulator('firestore'), (own) => own.close())
    const contestants: Contestant[] = []
    for (const [name, module] of Object.entries(MODULES)) {
      const direct = started.use(startContestant(module, emulator.address))
      const wire = started.use(await countOperations(emulator.address))
      const counted = started.use(startContestant(module, wire.address))
      contestants.push({
        name,
        async run(jobs, round) {
          const timed = await time(direct, jobs, round)
          const operations = await count(counted, wire, round, name === OURS)
          return { ...timed, values: { ...timed.values, ...operations } }
        },
      })
    }
    const cleanups = started.move()
    return { contestants, [Symbol.asyncDispose]: () => cleanups.disposeAsync() }
  },
}

function startContestant(module: string, address: string): Child {
  // The emulator needs no credentials, so the client must not look for any.
  return startChild(module, { env: { FIRESTORE_EMULATOR_HOST: address, METADATA_SERVER_DETECTION: 'none' } })
}

/** Straight to Firestore: the wire that counts would slow all of them down. */
async function time(child: Child, jobs: number, round: number): Promise<Sample> {
  const took = await child.ask({ kind: 'plain', jobs, round }, roundAnswer)
  return { jobs: took.jobs, values: { [CPU]: took.cpuMs / took.jobs, 'jobs/s': (took.jobs * 1_000) / took.wallMs } }
}

async function count(child: Child, wire: CountingWire, round: number, alsoDuplicates: boolean) {
  const ask = async (kind: 'plain' | 'duplicate') => {
    const { jobs } = await child.ask({ kind, jobs: COUNTED_JOBS, round }, roundAnswer)
    const { calls, reads, writes, appliedWrites } = wire.take()
    return { calls: calls / jobs, reads: reads / jobs, writes: writes / jobs, appliedWrites: appliedWrites / jobs }
  }
  const plain = await ask('plain')
  const values = { 'calls/job': plain.calls, 'writes/job': plain.writes, 'reads/job': plain.reads }
  if (!alsoDuplicates) return values
  const duplicate = await ask('duplicate')
  return {
    ...values,
    'reads/duplicate': duplicate.reads,
    'writes/duplicate': duplicate.writes,
    'applied writes/duplicate': duplicate.appliedWrites,
  }
}
