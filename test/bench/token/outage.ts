import { setTimeout as delay } from 'node:timers/promises'
import { clearFaults, placeFault } from '../../stand-ins.ts'
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
 * Makes outages that all contestants meet at the same time, one a round: each is told the same one at its turn.
 *
 * Nobody's turn would be disturbed by another's, for what is measured is seconds in which next to nothing is done.
 */
export function shareOutages({ cloud }: Stage, children: ReadonlyMap<string, Child>) {
  const rounds = new Map<number, Promise<Recoveries>>()

  async function endure(): Promise<Recoveries> {
    await placeFault(cloud.entra, { kind: 'status', error: 'temporarily_unavailable', match: '/oauth2/v2.0/token' })
    const [healedAt, ...served] = await Promise.all([
      recover(),
      ...[...children].map(async ([name, child]) => {
        const { servedAt } = await child.ask({ kind: 'recover', instances: INSTANCES }, recoverAnswer)
        return { name, servedAt }
      }),
    ])
    return new Map(served.map(({ name, servedAt }) => [name, spreadOf(servedAt.map((at) => (at - healedAt) / 1_000))]))
  }

  async function recover(): Promise<number> {
    await delay(OUTAGE_MS)
    const healedAt = Date.now()
    await clearFaults(cloud.entra)
    return healedAt
  }

  return (round: number): Promise<Recoveries> => {
    const outage = rounds.get(round) ?? endure()
    rounds.set(round, outage)
    return outage
  }
}
