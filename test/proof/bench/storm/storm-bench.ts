import type { DocumentedLimits } from '../../../../local/azure-openai/documented-limits.ts'
import { governed } from '../fleet/ours.ts'
import type { Bench, Contestant } from '../harness/bench.ts'
import { runStorm } from './run-storm.ts'

const JOBS = 3_000
const BASE = { instances: 4, meanTokens: 1_000, faultyHeaders: 0.2 }
const LIMITS: DocumentedLimits = {
  ...{ requestsPerMinute: 1_800, tokensPerMinute: 300_000, minuteMs: 60_000 },
  ...{ refusedUseQuota: true, lowered: [], noCapacity: [] },
}

/** In seconds: the first deployment has no capacity twice, and lowered limits for two minutes. */
const first = (startsAt: number): DocumentedLimits => ({
  ...LIMITS,
  noCapacity: [span(startsAt, 20, 50), span(startsAt, 270, 285)],
  lowered: [{ ...span(startsAt, 120, 240), share: 0.4 }],
})

/** Then the second one has. */
const second = (startsAt: number): DocumentedLimits => ({
  ...LIMITS,
  noCapacity: [span(startsAt, 190, 215)],
  lowered: [{ ...span(startsAt, 60, 120), share: 0.5 }],
})

const BOTH = 'ours, two deployments'
const ALONE = 'ours, one deployment alone'

export const bench: Bench = {
  title: 'Five minutes of 429s, lowered limits and failover, in virtual time',
  rounds: 3,
  jobsPerRound: JOBS,
  bars: [
    { contestant: BOTH, metric: 'unused quota %', is: 'at most', value: 5 },
    { contestant: BOTH, metric: 'missed deadlines', is: 'exactly', value: 0 },
    { contestant: BOTH, metric: 'dead letters', is: 'exactly', value: 0 },
  ],
  async open() {
    const contestants = [
      contestant(ALONE, (startsAt) => [first(startsAt)]),
      contestant(BOTH, (startsAt) => [first(startsAt), second(startsAt)]),
    ]
    return { contestants, [Symbol.asyncDispose]: () => Promise.resolve() }
  },
}

function contestant(name: string, deployments: (startsAt: number) => readonly DocumentedLimits[]): Contestant {
  const policy = governed('ours', (quota) => quota)
  return {
    name,
    async run(jobs, round) {
      const result = runStorm({ ...BASE, policy, jobs, seed: round, deployments })
      return {
        jobs: result.ended,
        values: {
          'unused quota %': 100 * (1 - result.grantedTokens / result.allowedTokens),
          'tokens answered': result.grantedTokens,
          '429s %': (100 * result.refused) / (result.refused + result.granted),
          'missed deadlines': result.missedDeadlines,
          'dead letters': result.deadLetters,
        },
      }
    },
  }
}

function span(startsAt: number, fromSeconds: number, untilSeconds: number) {
  return { from: startsAt + fromSeconds * 1_000, until: startsAt + untilSeconds * 1_000 }
}
