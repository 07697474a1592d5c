import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'

const LOOK_EVERY_MS = 150
const STUCK_AFTER_MS = 60_000

const subscriptions = z.array(z.object({ waiting: z.number(), outstanding: z.number() }))

/**
 * Waits until Pub/Sub has nothing left to deliver, and looks at the progress meanwhile.
 *
 * The queue decides when a batch is done, not the records: a job whose record is lost must be found missing, not
 * waited for. Rejects when nothing has left the queue for a minute.
 */
export async function untilDone(pushControlUrl: string, look: () => Promise<void>): Promise<'done'> {
  for (let fewest = Number.POSITIVE_INFINITY, since = Date.now(); ; ) {
    const left = await countLeft(pushControlUrl)
    await look()
    if (left === 0) return 'done'
    if (left < fewest) {
      fewest = left
      since = Date.now()
    }
    if (Date.now() - since > STUCK_AFTER_MS)
      throw new Error(`${left} jobs have not moved for a minute; worker.log says why`)
    await delay(LOOK_EVERY_MS)
  }
}

async function countLeft(pushControlUrl: string): Promise<number> {
  const answer = await fetch(`${pushControlUrl}/__subscriptions`)
  const counts = subscriptions.parse(await answer.json())
  return counts.reduce((sum, { waiting, outstanding }) => sum + waiting + outstanding, 0)
}
