import type { Bench } from '../harness/bench.ts'
import type { Child } from '../harness/child.ts'
import { heapAnswer } from './questions.ts'
import { setStage, TOKEN_LIFE_MS } from './stage.ts'
import { OURS } from './ways.ts'

/** Until then V8 still makes code of what it has seen, and that stays. */
const WARM_UP_RENEWALS = 2_000
/** Due for renewal, and still good. */
const STEP_MS = 0.9 * TOKEN_LIFE_MS
const MIB = 1_024 * 1_024

export const bench: Bench = {
  title: 'Ten thousand renewals in one process, each over the wire: what is left in memory',
  rounds: 1,
  jobsPerRound: 10_000,
  bars: [
    { contestant: OURS, metric: 'POSTs/renewal', is: 'exactly', value: 1 },
    { contestant: OURS, metric: 'heap growth %', is: 'at most', value: 2 },
  ],
  async open() {
    await using started = new AsyncDisposableStack()
    const stage = started.use(await setStage())
    const child = stage.start(OURS)
    await stage.crowd(child, { jobs: 1, aheadMs: 0, isCold: true })
    let aheadMs = 0
    const renew = async (times: number) => {
      const sum = { served: 0, posts: 0, gets: 0 }
      for (let n = 0; n < times; n += 1) {
        aheadMs += STEP_MS
        const { served, posts, gets } = await stage.crowd(child, { jobs: 1, aheadMs })
        sum.served += served
        sum.posts += posts
        sum.gets += gets
      }
      return sum
    }
    const ours = {
      name: OURS,
      async run(jobs: number, round: number) {
        if (round === 0) {
          await renew(WARM_UP_RENEWALS)
          return { jobs, values: {} }
        }
        const before = await heapOf(child)
        const { served, posts, gets } = await renew(jobs)
        const after = await heapOf(child)
        const heap = {
          'heap MiB, first': before.allMiB,
          'heap MiB, last': after.allMiB,
          'heap growth %': (after.allMiB / before.allMiB - 1) * 100,
          'of which compiled code %': ((after.codeMiB - before.codeMiB) / before.allMiB) * 100,
        }
        return { jobs: served, values: { ...heap, 'POSTs/renewal': posts / jobs, 'GETs/renewal': gets / jobs } }
      },
    }
    const cleanups = started.move()
    return { contestants: [ours], [Symbol.asyncDispose]: () => cleanups.disposeAsync() }
  },
}

async function heapOf(child: Child) {
  const { heapBytes, codeBytes } = await child.ask({ kind: 'heap' }, heapAnswer)
  return { allMiB: heapBytes / MIB, codeMiB: codeBytes / MIB }
}
