import { setTimeout as delay } from 'node:timers/promises'

const LOOK_EVERY_MS = 150
const STUCK_AFTER_MS = 60_000

export interface DemoQueue {
  /** How many messages are not finished. */
  countLeft(signal: AbortSignal): Promise<number>
  /** The log to read when there is no progress. */
  readonly workerLog: string
}

/**
 * Waits until Pub/Sub has nothing left to deliver. Calls `look` in the meantime.
 *
 * The queue decides when a batch is finished, not the records: a job whose record is lost must be reported as missing.
 * Rejects when no message has left the queue for a minute, and with `signal`.
 */
export async function untilDone(
  { countLeft, workerLog }: DemoQueue,
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
      throw new Error(`${left} messages are left, and none was finished for a minute; see ${workerLog}`)
    }
    await delay(LOOK_EVERY_MS, undefined, { signal })
  }
}
