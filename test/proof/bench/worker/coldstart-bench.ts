import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Bench, Contestant } from '../harness/bench.ts'
import { buildBaseline, buildWorker, warmCompileCache } from '../harness/build.ts'
import { median } from '../harness/statistics.ts'

const BASELINE = join(import.meta.dirname, '../baselines/express-six-packages-worker.ts')
const SOURCE = join(import.meta.dirname, '../../../../worker/main.ts')
const EXPRESS = 'express + six packages'
const [SQLITE, FIRESTORE] = ['ours, SQLite', 'ours, Firestore']
const MS = 'ms to ready'
const MEMORY = 'MiB when ready'

/** None of these addresses is called. */
const SETTINGS = {
  ...{ HOST: '127.0.0.1', PORT: '0', PUSH_AUTH: 'off', GOOGLE_CLOUD_PROJECT: 'nowhere' },
  ...{ FIRESTORE_EMULATOR_HOST: '127.0.0.1:9', PUBSUB_EMULATOR_HOST: '127.0.0.1:9' },
  ...{ AZURE_TENANT_ID: 'nowhere', AZURE_CLIENT_ID: '00000000-0000-4000-8000-000000000000' },
  ...{ AZURE_OPENAI_ENDPOINT: 'http://127.0.0.1:9', AZURE_OPENAI_DEPLOYMENT: 'nothing' },
}

export const bench: Bench = {
  title: 'From the start of a process until it listens',
  rounds: 5,
  jobsPerRound: 3,
  bars: [SQLITE, FIRESTORE].flatMap((contestant) => [
    { contestant, metric: MS, is: 'at most', value: 0.5, timesThatOf: EXPRESS },
    { contestant, metric: MEMORY, is: 'at most', value: 110 },
  ]),
  async open() {
    const folder = await mkdtemp(join(tmpdir(), 'bench-coldstart-'))
    const [worker, express] = [await buildWorker(folder), await buildBaseline(BASELINE, folder)]
    const cache = join(folder, 'compile-cache')
    await warmCompileCache(worker, cache)
    const warm = { ...SETTINGS, NODE_COMPILE_CACHE: cache }
    const onSqlite = { STORE: `sqlite:${join(folder, 'state.db')}` }
    return {
      contestants: [
        contestant(EXPRESS, express, SETTINGS),
        contestant(SQLITE, worker, { ...warm, ...onSqlite }),
        contestant(FIRESTORE, worker, warm),
        contestant(`${FIRESTORE}, no cache`, worker, SETTINGS),
        contestant(`${FIRESTORE}, not bundled`, SOURCE, SETTINGS),
      ],
      [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
    }
  },
}

/** Starts one process after another. */
function contestant(name: string, module: string, env: Readonly<Record<string, string>>): Contestant {
  return {
    name,
    async run(jobs) {
      const starts: Awaited<ReturnType<typeof start>>[] = []
      for (let n = 0; n < jobs; n += 1) starts.push(await start(module, env))
      const middle = (field: 'ms' | 'mib') => median(starts.map((each) => each[field]))
      return { jobs: starts.length, values: { [MS]: middle('ms'), [MEMORY]: middle('mib') } }
    },
  }
}

async function start(module: string, env: Readonly<Record<string, string>>) {
  const startedAt = performance.now()
  const child = spawn(process.execPath, [module], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  try {
    for await (const line of createInterface(child.stdout)) {
      if (!line.includes('listening')) continue
      const ms = performance.now() - startedAt
      return { ms, mib: await peakMiB(child.pid) }
    }
    throw new Error(`${module} ended before it was ready`)
  } finally {
    child.kill('SIGKILL')
    await closed
  }
}

/** The most memory that a process has held, as Linux reports it. */
async function peakMiB(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1_024
}
