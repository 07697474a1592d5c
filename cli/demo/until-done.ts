import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'

const LOOK_EVERY_MS = 150

const subscriptions = z.array(z.object({ waiting: z.number(), outstanding: z.number() }))

/**
 * Waits until Pub/Sub has nothing left to deliver, and looks at the progress meanwhile.
 *
 * The queue decides when a batch is done, not the records: a job whose record is lost must be found missing, not
 * waited for.
 */
export async function untilDone(pushControlUrl: string, look: () => Promise<void>): Promise<'done'> {
  for (;;) {
    const answer = await fetch(`${pushControlUrl}/__subscriptions`)
    const left = subscriptions
      .parse(await answer.json())
      .reduce((sum, { waiting, outstanding }) => sum + waiting + outstanding, 0)
    await look()
    if (left === 0) return 'done'
    await delay(LOOK_EVERY_MS)
  }
}
