import { clearFaults, placeFault } from '../../../support/stand-ins.ts'
import type { Bench, Contestant } from '../harness/bench.ts'
import type { Child } from '../harness/child.ts'
import { shareOutages } from './outage.ts'
import { warmAnswer } from './questions.ts'
import { type Stage, setStage, TOKEN_LIFE_MS } from './stage.ts'
import { OURS, PLAIN, PROVIDER } from './ways.ts'

const WARM = 'warm get µs'
const RECOVERED = 's after an outage, slowest'

/** So near its end each of them finds a token due for renewal; all but a bare credential still give it out. */
const DUE_AT_MS = TOKEN_LIFE_MS - 100_000
/** The token that was renewed then has run out too. */
const EXPIRED_AT_MS = DUE_AT_MS + TOKEN_LIFE_MS

const ENTRA_TAKES_MS = 1_000

export const bench: Bench = {
  title: 'Ways to an Azure token from Google Cloud: calls, waits, and outages of 8 s, which last a minute for some',
  rounds: 3,
  jobsPerRound: 1_000,
  bars: [
    { contestant: OURS, metric: WARM, is: 'at most', value: 5 },
    { contestant: OURS, metric: WARM, is: 'at most', value: 1, timesThatOf: PROVIDER },
    { contestant: OURS, metric: 'calls/warm get', is: 'exactly', value: 0 },
    { contestant: OURS, metric: 'POSTs, cold', is: 'exactly', value: 1 },
    { contestant: OURS, metric: 'GETs, cold', is: 'exactly', value: 1 },
    { contestant: OURS, metric: 'POSTs, due', is: 'exactly', value: 1 },
    { contestant: OURS, metric: 'jobs that waited, due', is: 'exactly', value: 0 },
    { contestant: OURS, metric: 'POSTs, expired', is: 'exactly', value: 1 },
    { contestant: OURS, metric: 'GETs, expired', is: 'at most', value: 1 },
    { contestant: OURS, metric: RECOVERED, is: 'at most', value: 10 },
  ],
  async open() {
    await using started = new AsyncDisposableStack()
    const stage = started.use(await setStage())
    const children = new Map([PROVIDER, PLAIN, OURS].map((name) => [name, stage.start(name)]))
    const outage = shareOutages(stage, children)
    const contestants = [...children].map(
      ([name, child]): Contestant => ({
        name,
        async run(jobs, round) {
          const { served, values } = await serveCrowds(stage, child, jobs)
          if (round === 0) return { jobs: served, values }
          const { median = Number.NaN, max = Number.NaN } = (await outage(round)).get(name) ?? {}
          return { jobs: served, values: { ...values, [RECOVERED]: max, 's after an outage, median': median } }
        },
      }),
    )
    const cleanups = started.move()
    return { contestants, [Symbol.asyncDispose]: () => cleanups.disposeAsync() }
  },
}

/** The life of an instance: its jobs arrive before it has a token, while it has one, when it is due, and too late. */
async function serveCrowds(stage: Stage, child: Child, jobs: number) {
  const cold = await stage.crowd(child, { jobs, aheadMs: 0, isCold: true })
  const warm = await child.ask({ kind: 'warm' }, warmAnswer)
  const { all: callsOfWarm } = await stage.takeCalls()
  await placeFault(stage.cloud.entra, { kind: 'delay', ms: ENTRA_TAKES_MS, match: '/oauth2/v2.0/token' })
  const due = await stage.crowd(child, { jobs, aheadMs: DUE_AT_MS })
  await clearFaults(stage.cloud.entra)
  const expired = await stage.crowd(child, { jobs, aheadMs: EXPIRED_AT_MS })
  return {
    served: Math.min(cold.served, due.served, expired.served),
    values: {
      [WARM]: warm.medianUs,
      'calls/warm get': callsOfWarm / warm.gets,
      'POSTs, cold': cold.posts,
      'GETs, cold': cold.gets,
      'POSTs, due': due.posts,
      'GETs, due': due.gets,
      'jobs that waited, due': due.waited,
      'longest get ms, due': due.longestMs,
      'POSTs, expired': expired.posts,
      'GETs, expired': expired.gets,
    },
  }
}
