import { setTimeout as delay } from 'node:timers/promises'

const LOOK_EVERY_MS = 150
const STUCK_AFTER_MS = 60_000

export interface Watched {
  /** How many messages are not done with. */
  countLeft(signal: AbortSignal): Promise<number>
  /** Where to read when nothing moves. */
  readonly workerLog: string
}

/**
 * Waits until Pub/Sub has nothing left to deliver, and looks at the progress meanwhile.
 *
 * The queue decides when a batch is done, not the records: a job whose record is lost must be found missing, not
 * waited for. Rejects when nothing has left the queue for a minute, and with `signal`.
 */
export async function untilDone(
  { countLeft, workerLog }: Watched,
  look: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  for (let fewest = Number.POSITIVE_INFINITY, since = Date.now(); ; ) {
    const left = await countLeft(signal)
    await look()
    if (left === 0) return
    if (left < fewest) {
      fewest = left
      since = Date.now()
    }
    if (Date.now() - since > STUCK_AFTER_MS) {
      throw new Error(`none of the ${left} messages left has been done for a minute; ${workerLog} says why`)
    }
    await delay(LOOK_EVERY_MS, undefined, { signal })
  }
}
