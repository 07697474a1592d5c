import { setTimeout as delay } from 'node:timers/promises'
import { clearFaults, placeFault } from '../../../support/stand-ins.ts'
import type { Child } from '../harness/child.ts'
import { spreadOf } from '../harness/statistics.ts'
import { recoverAnswer } from './questions.ts'
import type { Stage } from './stage.ts'

/** Longer than the three retries of Microsoft's library take, with their jitter. */
const OUTAGE_MS = 8_000
const INSTANCES = 20

/** For each contestant, by its name: how long after an outage its instances had their first token, in seconds. */
type Recoveries = ReadonlyMap<string, { readonly median: number; readonly max: number }>

/**
 * Makes one outage a round, which all contestants meet at the same time. Each reports the same outage at its turn.
 *
 * The contestants do not disturb each other: the measured seconds have almost no work.
 */
export function shareOutages({ cloud }: Stage, children: ReadonlyMap<string, Child>) {
  const rounds = new Map<number, Promise<Recoveries>>()

  async function endure(): Promise<Recoveries> {
    await placeFault(cloud.entra, { kind: 'status', error: 'temporarily_unavailable', match: '/oauth2/v2.0/token' })
    const [endedAt, ...served] = await Promise.all([
      recover(),
      ...[...children].map(async ([name, child]) => {
        const { servedAt } = await child.ask({ kind: 'recover', instances: INSTANCES }, recoverAnswer)
        return { name, servedAt }
      }),
    ])
    return new Map(served.map(({ name, servedAt }) => [name, spreadOf(servedAt.map((at) => (at - endedAt) / 1_000))]))
  }

  async function recover(): Promise<number> {
    await delay(OUTAGE_MS)
    const endedAt = Date.now()
    await clearFaults(cloud.entra)
    return endedAt
  }

  return (round: number): Promise<Recoveries> => {
    const outage = rounds.get(round) ?? endure()
    rounds.set(round, outage)
    return outage
  }
}
