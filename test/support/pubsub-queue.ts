import type { JobQueue, Message } from '../../shared/queues/job-queue.ts'
import { openPubSubQueue } from '../../shared/queues/pubsub/pubsub-queue.ts'
import { startPublisher } from './publisher-stand-in.ts'

export const unavailable = { name: 'QueueError', code: 'unavailable' }
export const message = (text: string): Message => ({ data: Buffer.from(text), attributes: {} })

export function openQueueAt(address: string, firstWithinMs?: number): JobQueue & AsyncDisposable {
  const queue = openPubSubQueue({ project: 'test', emulator: address, firstWithinMs })
  return { ...queue, [Symbol.asyncDispose]: () => queue.close() }
}

/** A queue over a publisher that answers by this script. */
export async function startQueue(script: Parameters<typeof startPublisher>[0]) {
  await using started = new AsyncDisposableStack()
  const publisher = started.use(await startPublisher(script))
  const queue = started.use(openQueueAt(publisher.address))
  const cleanups = started.move()
  return { publisher, queue, [Symbol.asyncDispose]: () => cleanups.disposeAsync() }
}
