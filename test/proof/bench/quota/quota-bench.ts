import { join } from 'node:path'
import type { LimitEvents } from '../../../../local/azure-openai/limiter.ts'
import { AZURE } from '../../../../local/identities.ts'
import type { Bench, Contestant } from '../harness/bench.ts'
import { drainBars, drainValues } from '../harness/drain.ts'
import { SCALE } from './scaled-minute.ts'
import { type Drain, drain, QUOTA } from './stage.ts'

const WORKER = join(import.meta.dirname, 'paced-worker.ts')
const RIVAL = join(import.meta.dirname, '../baselines/retrying-worker.ts')
const JOBS = 900
const JOBS_OF_WARM_UP = 20
/** A job has a thousand tokens. */
const JOBS_PER_MINUTE = QUOTA.tokensPerMinute / 1_000

const REFUSED_USE_QUOTA: LimitEvents = { refusedUseQuota: true, lowered: [], noCapacity: [] }
const REFUSED_ARE_FREE: LimitEvents = { ...REFUSED_USE_QUOTA, refusedUseQuota: false }

export const bench: Bench = {
  title: 'A batch through one quota, by real processes, with a minute of 10 s',
  rounds: 3,
  jobsPerRound: JOBS,
  bars: [
    ...drainBars('ours × 1', 1.05, 1),
    ...drainBars('ours × 4', 1.05, 1),
    ...drainBars('ours × 16', 1.08, 3),
    ...drainBars('ours × 4, refusals are free', 1.05, 1),
  ],
  async open() {
    const contestants = [
      contestant('ours × 1', ours(1)),
      contestant('ours × 4', ours(4)),
      contestant('ours × 16', ours(16)),
      contestant('ours × 4, refusals are free', { ...ours(4), events: REFUSED_ARE_FREE }),
      contestant('SDK defaults × 4', rival({})),
      contestant('p-retry defaults × 4', rival({ RETRY: 'p-retry', CLIENT_RETRIES: '0' })),
      contestant('token bucket × 4', rival({ SPACING_MS: String((4 * 60_000) / JOBS_PER_MINUTE / SCALE) })),
    ]
    return { contestants, [Symbol.asyncDispose]: () => Promise.resolve() }
  },
}

type Setting = Omit<Drain, 'jobs'>

function ours(instances: number): Setting {
  const limits = { rpm: QUOTA.requestsPerMinute, tpm: QUOTA.tokensPerMinute }
  const named = { model: AZURE.deployment, deployment: AZURE.deployment }
  const env = (endpoint: string) => ({
    DEPLOYMENTS: JSON.stringify([{ ...named, endpoint, ...limits }]),
  })
  return { module: WORKER, env, instances, events: REFUSED_USE_QUOTA }
}

function rival(env: Readonly<Record<string, string>>): Setting {
  // Express prints every error otherwise.
  const base = { NODE_ENV: 'test', RETRY: 'client', SPACING_MS: '0', MIN_TIMEOUT_MS: String(1_000 / SCALE) }
  return { module: RIVAL, env: () => ({ ...base, ...env }), instances: 4, events: REFUSED_USE_QUOTA }
}

/** Every run has new processes. The warm-up has few jobs: it loads what they read from the disk. */
function contestant(name: string, setting: Setting): Contestant {
  return {
    name,
    async run(jobs, round) {
      const result = await drain({ ...setting, jobs: round === 0 ? JOBS_OF_WARM_UP : jobs })
      return {
        jobs: result.done + result.deadLetters,
        values: drainValues({ ...result, requests: result.calls }),
      }
    },
  }
}
