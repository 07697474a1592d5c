import type { Bench, Contestant } from '../harness/bench.ts'
import { drainBars, drainValues } from '../harness/drain.ts'
import { governed } from './ours.ts'
import type { Policy } from './policy.ts'
import { nackAtOnce, pRetryDefaults, sdkDefaults, tokenBucket } from './rivals.ts'
import { type FleetRun, runFleet } from './run-fleet.ts'

type Scenario = Pick<FleetRun, 'policy' | 'instances' | 'quota' | 'meanTokens' | 'refusedUseQuota'>

const JOBS = 4_500
const FAULTY_HEADERS = 0.2
/** A job has a thousand tokens, so the tokens are what limits: 300 jobs a minute. */
const BASE = { quota: { rpm: 1_800, tpm: 300_000 }, meanTokens: 1_000, refusedUseQuota: true }
/** Small jobs: the requests are what limits, which are checked on windows of 1 s and 10 s. */
const SMALL_JOBS = { ...BASE, meanTokens: 100 }

const OURS = governed('ours', (quota) => quota)
const UNSET = governed('ours, quota not set', ({ maxInstances }) => ({ maxInstances }))
const RIVALS = [sdkDefaults, pRetryDefaults, nackAtOnce, tokenBucket]

const sized = (policy: Policy, instances: number): Scenario => ({ ...BASE, policy, instances })
const ours = { one: sized(OURS, 1), four: sized(OURS, 4), sixteen: sized(OURS, 16), thousand: sized(OURS, 1_000) }
const scenarios: Readonly<Record<string, Scenario>> = {
  'ours × 1': ours.one,
  'ours × 4': ours.four,
  'ours × 16': ours.sixteen,
  'ours × 1,000': ours.thousand,
  'ours × 4, small jobs': { ...ours.four, ...SMALL_JOBS },
  'ours × 16, small jobs': { ...ours.sixteen, ...SMALL_JOBS },
  'ours × 16, refusals are free': { ...ours.sixteen, refusedUseQuota: false },
  'ours × 16, quota not set': sized(UNSET, 16),
  ...Object.fromEntries(RIVALS.map((rival) => [`${rival.name} × 4`, sized(rival, 4)])),
  ...Object.fromEntries(RIVALS.map((rival) => [`${rival.name} × 1,000`, sized(rival, 1_000)])),
}

export const bench: Bench = {
  title: 'A batch through one quota, by fleets of instances in virtual time',
  rounds: 3,
  jobsPerRound: JOBS,
  bars: [
    ...drainBars('ours × 1', 1.05, 1),
    ...drainBars('ours × 4', 1.05, 1),
    ...drainBars('ours × 16', 1.08, 3),
    ...drainBars('ours × 1,000', 1.1),
    ...drainBars('ours × 16, refusals are free', 1.08, 3),
  ],
  async open() {
    const contestants = Object.entries(scenarios).map(([name, scenario]) => contestant(name, scenario))
    return { contestants, [Symbol.asyncDispose]: () => Promise.resolve() }
  },
}

/** Every round has other draws, the same for all contestants. */
function contestant(name: string, scenario: Scenario): Contestant {
  return {
    name,
    async run(jobs, round) {
      const result = runFleet({ ...scenario, jobs, faultyHeaders: FAULTY_HEADERS, seed: round })
      return {
        jobs: result.ended,
        values: {
          ...drainValues({ ...result, requests: result.refused + result.granted }),
          'pushes/job': result.deliveries / jobs,
        },
      }
    },
  }
}
